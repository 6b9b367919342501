"""Programs that `language-hooks` may run between sentences, and the loop that runs them."""
