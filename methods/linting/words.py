"""Word lists of the rules: common misspellings with their corrections, and function words by language."""

from __future__ import annotations

_PAIRS = """
accomodate accommodate; acheive achieve; accross across; adress address; adresses addresses; agressive aggressive; allways always;
alot a lot; analize analyze; anwser answer; anser answer; answet answer; apparantly apparently; appropiate appropriate; aquire acquire;
arguement argument; artical article; asistant assistant; assisstant assistant; assitant assistant; assistent assistant; atleast at least;
availible available; avaliable available; basicly basically; becuase because; beacuse because; becasue because; befor before;
begining beginning; beleive believe; betwen between; bussiness business; calender calendar; catagory category; categry category;
charachter character; charater character; chatacter character; choosen chosen; comming coming; commited committed; comparision comparison;
completly completely; concious conscious; consise concise; concice concise; consistant consistent; contian contain; contex context;
continous continuous; conversaton conversation; convertion conversion; correctely correctly; corect correct; creat create; databse database;
decison decision; definately definitely; definitly definitely; delimeter delimiter; dependant dependent; descibe describe; desciption description;
descripton description; desribe describe; detailled detailed; develope develop; diffrent different; differnt different; dissapear disappear;
docuemnt document; documnet document; doesnt doesn't; dont don't; embarass embarrass; enviroment environment; especialy especially;
exagerate exaggerate; exampel example; exmaple example; excercise exercise; existance existence; experiance experience; explaination explanation;
explanaition explanation; extracton extraction; familar familiar; finaly finally; folowing following; follwing following; followng following;
foward forward; freind friend; funtion function; fucntion function; futher further; genarate generate; generat generate; genrate generate;
goverment government; gramatical grammatical; grammer grammar; gaurd guard; guidlines guidelines; happend happened; heirarchy hierarchy;
helpfull helpful; hepful helpful; immediatly immediately; implemention implementation; importent important; improvment improvement;
independant independent; infomation information; informations information; informtion information; infromation information; inital initial;
inteligent intelligent; intrested interested; instuctions instructions; instrcutions instructions; intructions instructions; insted instead;
interupt interrupt; knowlege knowledge; knowldge knowledge; langauge language; lanuage language; languge language; lenght length;
libary library; likly likely; maintainance maintenance; managment management; mesage message; messege message; millenium millennium;
mispell misspell; neccessary necessary; necesary necessary; nessecary necessary; noticable noticeable; occured occurred; occurence occurrence;
ocurrence occurrence; offical official; ommit omit; orignal original; ouput output; outout output; oputput output; paragaph paragraph;
paragragh paragraph; parametr parameter; paramter parameter; particlar particular; peice piece; persistant persistent; posible possible;
possibilites possibilities; preceed precede; prefered preferred; previos previous; probaly probably; proccess process; proffesional professional;
professinal professional; profesional professional; programing programming; promt prompt; promtp prompt; propery property; provied provide;
provde provide; publically publicly; qestion question; quesiton question; questoin question; queston question; quesion question;
reccomend recommend; recomend recommend; recieve receive; recieved received; refered referred; refering referring; refrence reference;
relavant relevant; relevent relevant; repersent represent; reponse response; respone response; resonse response; responce response;
resopnse response; repsonse response; requred required; requirment requirement; resturant restaurant; retreive retrieve; rythm rhythm;
sentance sentence; sentense sentence; sentece sentence; seperate separate; seperated separated; seperately separately; simmilar similar;
similiar similar; sincerly sincerely; speach speech; specifc specific; speficic specific; specifiy specify; strcuture structure;
structre structure; sucess success; succesful successful; successfull successful; sugest suggest; suggesion suggestion; sumary summary;
summerize summarize; sumarize summarize; suprise surprise; surpise surprise; teh the; thier their; tommorow tomorrow;
tommorrow tomorrow; tranlate translate; translte translate; transaltion translation; truely truly; undestand understand; understang understand;
unfortunatly unfortunately; untill until; usefull useful; useing using; usualy usually; verison version; wether whether; wich which;
whith with; withing within; writting writing; wierd weird; yeild yield; youre you're; yor your
"""
MISSPELLINGS: dict[str, str] = {wrong: right for pair in _PAIRS.split(";") for wrong, _, right in (pair.strip().partition(" "),)}

FUNCTION_WORDS: dict[str, frozenset[str]] = {
    "English": frozenset("the of and to is are was you your this that with for from not be have what which will should can if".split()),
    "German": frozenset("der die das und ist sind ein eine einen nicht mit für auf von dem den wie werden sie bitte oder auch".split()),
    "French": frozenset("le les des une est sont dans pour avec que qui vous votre pas sur du au aux et ou cette ce".split()),
    "Spanish": frozenset("el los las una es son para con que por del como su sus más pero y o este esta lo".split()),
    "Portuguese": frozenset("os uma são para com que por do da dos das como seu sua mais mas não em você ou ao".split()),
    "Italian": frozenset("il gli una è sono per con che del della dei come suo sua più ma non nel questo questa di".split()),
}
SCRIPTS: dict[str, str] = {
    "Latin": "A-Za-zÀ-ɏ",
    "Cyrillic": "Ѐ-ӿ",
    "Greek": "Ͱ-Ͽ",
    "Hebrew": "֐-׿",
    "Arabic": "؀-ۿ",
    "Devanagari": "ऀ-ॿ",
    "Thai": "ก-๛",
    "Hangul": "가-힣",
    "Han or kana": "぀-ヿ一-鿿",
}
"""Character ranges, for a regular expression's class."""
