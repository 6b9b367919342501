"""Words of the world: what belongs to which cluster, and how each word is written in three languages.

Language 0 is English-like with real English words. Languages 1 and 2 have made-up words of their own, one per concept, drawn once from a fixed seed;
names of people and numbers are written alike in all three. A concept's key is its English word.
"""

from collections.abc import Sequence
from functools import cache

import numpy as np

LANGUAGES = (0, 1, 2)

TOPICS: dict[str, dict[str, tuple[str, ...]]] = {
    "food": {
        "dish": ("soup", "bread", "cake", "rice", "salad", "pizza", "pasta", "stew"),
        "fruit": ("apple", "pear", "plum", "grape", "lemon", "melon"),
        "people": ("cook", "waiter", "baker"),
        "verbs": ("ate", "cooked", "tasted", "served"),
    },
    "sport": {
        "game": ("tennis", "football", "hockey", "golf", "rugby", "boxing"),
        "gear": ("racket", "goal", "net", "helmet", "trophy", "medal", "whistle", "saddle"),
        "people": ("coach", "referee", "athlete"),
        "verbs": ("kicked", "won", "practised", "threw"),
    },
    "music": {
        "instrument": ("piano", "violin", "guitar", "drum", "flute", "harp", "trumpet", "cello"),
        "work": ("song", "opera", "album", "symphony", "melody", "chorus"),
        "people": ("singer", "pianist", "composer"),
        "verbs": ("sang", "tuned", "composed", "rehearsed"),
    },
    "animals": {
        "mammal": ("dog", "cat", "horse", "cow", "fox", "wolf", "rabbit", "goat"),
        "bird": ("sparrow", "robin", "eagle", "owl", "crow", "duck"),
        "people": ("farmer", "vet", "shepherd"),
        "verbs": ("fed", "chased", "petted", "tamed"),
    },
    "travel": {
        "vehicle": ("train", "bus", "plane", "ship", "taxi", "bicycle", "tram", "ferry"),
        "stop": ("hotel", "airport", "harbour", "border", "bridge", "motel"),
        "people": ("driver", "pilot", "tourist"),
        "verbs": ("boarded", "drove", "reached", "toured"),
    },
    "technology": {
        "device": ("phone", "laptop", "camera", "printer", "tablet", "radio", "robot", "screen"),
        "part": ("battery", "cable", "sensor", "program", "website", "password"),
        "people": ("engineer", "programmer", "hacker"),
        "verbs": ("charged", "installed", "typed", "updated"),
    },
}
"""Topic -> its noun clusters, the people and the verbs of it."""

NOUN_CLUSTERS: dict[str, tuple[str, ...]] = {
    name: words for groups in TOPICS.values() for name, words in groups.items() if name not in {"people", "verbs"}
}
CLUSTER_TOPIC: dict[str, str] = {name: topic for topic, groups in TOPICS.items() for name in groups if name not in {"people", "verbs"}}
HYPERNYM: dict[str, str] = {word: name for name, words in NOUN_CLUSTERS.items() for word in words}
TOPIC_OF: dict[str, str] = {word: topic for topic, groups in TOPICS.items() for words in groups.values() for word in words}

AMBIGUOUS: dict[str, tuple[str, str]] = {
    "bat": ("sport", "animals"), "mouse": ("animals", "technology"), "jam": ("food", "travel"), "crane": ("animals", "travel"),
    "chip": ("food", "technology"), "bass": ("music", "animals"), "pitch": ("music", "sport"), "track": ("music", "travel"),
    "key": ("music", "technology"), "port": ("travel", "technology"), "bug": ("animals", "technology"), "roll": ("food", "music"),
    "record": ("music", "sport"), "cup": ("food", "sport"), "fan": ("sport", "technology"), "horn": ("music", "travel"),
}  # fmt: skip
"""Word -> the topics of its two senses."""

ADJECTIVES: dict[int, tuple[str, ...]] = {
    2: ("superb", "wonderful", "brilliant", "amazing", "splendid", "marvellous", "magnificent", "glorious"),
    1: ("nice", "pleasant", "decent", "lovely", "charming", "neat", "agreeable", "likable"),
    0: ("average", "ordinary", "usual", "typical", "standard", "common"),
    -1: ("dull", "weak", "bland", "flat", "clumsy", "tedious", "shabby", "stale"),
    -2: ("awful", "horrible", "dreadful", "disgusting", "hopeless", "miserable", "atrocious", "ghastly"),
}
"""Opinion adjectives by strength; within a strength the later ones are rarer."""

VALENCE: dict[str, int] = {word: value for value, words in ADJECTIVES.items() for word in words}

ATTRIBUTES: dict[str, tuple[str, ...]] = {
    "colour": ("red", "blue", "green", "yellow", "black", "white", "brown", "grey"),
    "size": ("big", "small", "tiny", "huge", "long", "short"),
    "material": ("wooden", "glass", "metal", "paper", "stone", "plastic"),
    "feeling": ("happy", "sad", "angry", "afraid", "tired", "calm"),
}

OTHER_CLUSTERS: dict[str, tuple[str, ...]] = {
    "place": ("kitchen", "garden", "office", "school", "park", "station", "market", "forest", "library", "museum"),
    "thing": ("ball", "box", "book", "lamp", "bag", "hat", "coin", "letter", "stick", "ring"),
    "day": ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"),
    "relative": ("mother", "father", "sister", "brother", "aunt", "uncle"),
    "contact": ("boss", "friend", "neighbour", "rival", "tutor", "partner"),
}

NAMES: tuple[str, ...] = (
    "anna", "ben", "clara", "david", "emma", "frank", "greta", "henry", "ida", "jack", "kate", "leo",
    "maria", "noah", "olga", "paul", "rosa", "sam", "tina", "victor", "wendy", "yuri", "zoe", "adam",
)  # fmt: skip

GENERAL_VERBS: tuple[str, ...] = ("saw", "found", "bought", "sold", "lost", "liked", "wanted", "took", "showed", "described")
SYNONYMS: dict[str, str] = {
    "bought": "purchased", "found": "discovered", "liked": "enjoyed", "saw": "noticed", "took": "grabbed", "wanted": "desired",
    "big": "large", "small": "little", "happy": "glad", "sad": "unhappy", "angry": "furious", "tired": "sleepy",
    "taxi": "cab", "phone": "handset", "cat": "kitten", "ship": "boat", "song": "tune", "bag": "sack",
}  # fmt: skip
"""Word -> another of the same meaning."""
PARTICIPLES: dict[str, str] = {
    "saw": "seen",
    "took": "taken",
    "showed": "shown",
    "ate": "eaten",
    "threw": "thrown",
    "drove": "driven",
    "sang": "sung",
}
"""Past tense -> participle, where they differ."""

CLUSTERS: dict[str, tuple[str, ...]] = {
    **NOUN_CLUSTERS,
    **{f"{topic}-people": groups["people"] for topic, groups in TOPICS.items()},
    **{f"{topic}-verbs": groups["verbs"] for topic, groups in TOPICS.items()},
    "praise": ADJECTIVES[2] + ADJECTIVES[1],
    "blame": ADJECTIVES[-2] + ADJECTIVES[-1],
    "neutral": ADJECTIVES[0],
    **ATTRIBUTES,
    **OTHER_CLUSTERS,
    "name": NAMES,
}
"""Every set of words that belong together, by name."""

PLURAL_IRREGULAR = {
    "wolf": "wolves", "bus": "buses", "taxi": "taxis", "ferry": "ferries", "battery": "batteries", "melody": "melodies", "symphony": "symphonies",
    "trophy": "trophies", "chorus": "choruses", "fox": "foxes", "box": "boxes", "radio": "radios",
    "cello": "cellos", "mouse": "mice",
}  # fmt: skip
UNCOUNTABLE = frozenset({"bread", "rice", "tennis", "football", "hockey", "golf", "rugby", "boxing", "pasta", "soup", "stew", "salad"})

FUNCTION_WORDS: tuple[str, ...] = (
    "the", "a", "and", "but", "or", "not", "never", "very", "slightly", "really", "was", "were", "is", "are", "in", "of", "although", "no",
    "every", "some", "to", "by", "with", "has", "have", "an",
)  # fmt: skip

LABEL_WORDS: tuple[str, ...] = (
    "good", "bad", "great", "terrible", "okay", "mediocre", "excellent", "positive", "negative", "neutral", "yes", "no", "true", "false", "maybe",
    "correct", "wrong", "right", "same", "different", "similar", "other", "acceptable", "unacceptable", "food", "sport", "music", "animals", "travel",
    "technology", "opinion", "fact", "person", "place", "number", "day", "reason", "thing", "one", "two", "three", "four", "five", "unknown",
    "sure", "entailed", "contradicted", "possible", "impossible", "literal", "unlike", "alike", "fine", "broken", "love", "hate", "happy", "unhappy",
    "eating", "games", "sound", "nature", "trips", "machines", "follows", "never", "always", "family", "work", "friends", "enemy", "home", "owner",
    "worker", "pupil", "visitor", "buyer", "seller",
)  # fmt: skip
"""Words that stand as answers in prompts."""

SYMBOLS: tuple[str, ...] = (
    "alpha", "beta", "gamma", "delta", "sigma", "omega", "foo", "bar", "baz", "qux", "zig", "zag", "tick", "tock", "ping", "pong", "left", "up", "down",
    "north", "south", "east", "west", "circle", "square", "star", "moon", "sun", "spade", "heart", "a", "b", "c", "d", "e", "f", "x", "y", "z", "w",
)  # fmt: skip
"""Words without a meaning of their own, for arbitrary labels."""

INTENT_ACTIONS: dict[str, tuple[str, ...]] = {
    "book": ("book", "reserve", "order", "get"),
    "cancel": ("cancel", "drop", "delete", "remove"),
    "check": ("check", "review", "confirm", "see"),
    "change": ("change", "move", "shift", "edit"),
}
INTENT_OBJECTS: dict[str, tuple[str, ...]] = {
    "trip": ("flight", "trip", "ride"),
    "meal": ("dinner", "lunch", "meal"),
    "room": ("room", "bed", "suite"),
    "meeting": ("meeting", "call", "appointment"),
    "ticket": ("ticket", "seat", "pass"),
    "alarm": ("alarm", "timer", "reminder"),
}
INTENTS: tuple[str, ...] = tuple(action + thing for action in INTENT_ACTIONS for thing in INTENT_OBJECTS)

INSTRUCTION_WORDS: tuple[str, ...] = tuple(
    """
    i you he she it we they my your his her this that these there here do does did can could would will should please want need like am be been
    what who where when why how which whose many much more less than then so because if from at on for as about into out over only also too again
    review opinion sentence text question answer label labels topic class category rating stars star score sentiment mood feeling tone meaning word words
    means mean kind kinds type statement claim premise hypothesis context passage story first second third last next between relation related both
    either follows follow true false write said says say people think thought told overall all one another any most none each ever just still now
    grammar grammatical english well written ok request user command intent goal action task choose choice choices option options pick read reading
    decide find tell give gave gives given went moved left put got bring brought carried stayed came go goes back dropped holding total sum altogether
    number numbers plus minus equals together remain remaining away got lost bought sold ate each data record describe description report summary
    translate translation language same different example examples input output category subject theme news article headline customer critic experience
    impression verdict judgement judge was were feels felt seems seemed found evening day morning night time place person things something everything
    anything nothing everyone somebody someone nobody says asked knows know believe believed lives live works work employs teaches visits owns helps near for
    colour size material shape name names made food called belongs belong group part set used like likes sense use uses usage compare compared evaluate
    check sign code symbol marks mark tag tags belongs assign sort filed under put into box group team match matched item items entry line lines list
    guess result response reply expected correct solution solve therefore thus hence since whether implies imply paraphrase rephrase rewrite version
    facts fact knowledge real world reality source domain comment feedback say sounds sound makes made sense bad-written
    entities entity linked link connection holds hold pair pairs term meaning mention
    location owner worth think overall whole rest part side yesterday today tomorrow later before after while during until without within along across
    """.split()
)

TRANSLATED_FUNCTION = (
    "and",
    "but",
    "not",
    "very",
    "slightly",
    "really",
    "was",
    "in",
    "of",
    "although",
    "no",
    "every",
    "some",
    "to",
    "with",
    "has",
)
TRANSLATED_LABELS = ("good", "bad", "food", "sport", "music", "animals", "travel", "technology", "yes", "maybe")


def plural(noun: str) -> str:
    """The English plural of a countable noun of the world."""
    return PLURAL_IRREGULAR.get(noun, noun + "s")


def article(noun: str) -> str:
    """The noun with its indefinite article."""
    return f"{'an' if noun[0] in 'aeiou' else 'a'} {noun}"


def participle(verb: str) -> str:
    """The participle of a verb in the past tense: "took" -> "taken"."""
    return PARTICIPLES.get(verb, verb)


@cache
def concepts() -> tuple[str, ...]:
    """Every key that languages 1 and 2 have a word for, in a fixed order."""
    words = [word for name, cluster in CLUSTERS.items() if name != "name" for word in cluster]
    words += [
        *AMBIGUOUS,
        *GENERAL_VERBS,
        *TRANSLATED_FUNCTION,
        *TRANSLATED_LABELS,
        "dish",
        "fruit",
        "mammal",
        "bird",
        "vehicle",
        "device",
        "instrument",
        "game",
    ]
    return tuple(dict.fromkeys(words))


@cache
def dictionary(language: int) -> dict[str, str]:
    """Key -> surface word in a language; identity for language 0."""
    if language == 0:
        return {word: word for word in concepts()}
    onsets, vowels, codas = (
        (("k", "m", "t", "l", "n", "p", "s", "v"), ("a", "e", "i", "o", "u"), ("",))
        if language == 1
        else (("br", "d", "gr", "h", "j", "st", "f", "z"), ("a", "o", "u", "y"), ("k", "n", "rd", "l", "sh"))
    )
    rng = np.random.default_rng(np.random.SeedSequence([20240917, language]))

    def pick(options: Sequence[str]) -> str:
        return options[int(rng.integers(len(options)))]

    taken = set(english_words())
    result: dict[str, str] = {}
    for key in concepts():
        while True:
            word = "".join(pick(onsets) + pick(vowels) for _ in range(int(rng.integers(2, 4 if language == 1 else 3)))) + pick(codas)
            if word not in taken:
                break
        taken.add(word)
        result[key] = word
    return result


@cache
def english_words() -> tuple[str, ...]:
    """Every word of language 0: content, plurals, labels, symbols and the words of prompts."""
    words = [word for cluster in CLUSTERS.values() for word in cluster]
    words += [
        plural(word)
        for group in (*NOUN_CLUSTERS.values(), OTHER_CLUSTERS["thing"], tuple(AMBIGUOUS))
        for word in group
        if word not in UNCOUNTABLE
    ]
    words += [
        *AMBIGUOUS,
        *GENERAL_VERBS,
        *SYNONYMS,
        *SYNONYMS.values(),
        *PARTICIPLES.values(),
        *FUNCTION_WORDS,
        *LABEL_WORDS,
        *SYMBOLS,
        *INTENTS,
    ]
    words += [*NOUN_CLUSTERS, *(plural(name) for name in NOUN_CLUSTERS), *ATTRIBUTES, *OTHER_CLUSTERS, *INSTRUCTION_WORDS]
    words += [word for group in (*INTENT_ACTIONS.values(), *INTENT_OBJECTS.values()) for word in group]
    return tuple(dict.fromkeys(words))


@cache
def vocabulary() -> tuple[str, ...]:
    """Every word that is one token: language 0, then 1, then 2."""
    return tuple(dict.fromkeys([*english_words(), *dictionary(1).values(), *dictionary(2).values()]))
