//! Words that may be parameters of an `impl` block: nothing that the attribute sees tells them from types.

use proc_macro2::{Delimiter, Ident, TokenStream, TokenTree};

/// Names that nobody gives to a parameter: those that are known everywhere.
const PRELUDE: [&str; 27] = [
    "AsRef",
    "Box",
    "Clone",
    "Copy",
    "Debug",
    "Default",
    "Display",
    "Drop",
    "Err",
    "Eq",
    "Fn",
    "FnMut",
    "FnOnce",
    "From",
    "Into",
    "IntoIterator",
    "Iterator",
    "None",
    "Ok",
    "Option",
    "Result",
    "Send",
    "Some",
    "String",
    "Sync",
    "ToString",
    "Vec",
];

/// Whether a word occurs that may be a parameter of an `impl` block: one that begins with a capital,
/// not at the end of a path, and that is not known everywhere.
pub(crate) fn may_name_parameter(tokens: TokenStream) -> bool {
    may_name(tokens, false)
}

/// The same of tokens in which `<` always begins arguments, which a parameter does not have.
pub(crate) fn types_may_name_parameter(tokens: TokenStream) -> bool {
    may_name(tokens, true)
}

fn may_name(tokens: TokenStream, are_types: bool) -> bool {
    // `Variant::A` and `value.A` are none, `x: A` is one.
    let mut before = [' '; 2];
    let mut tokens = tokens.into_iter().peekable();
    while let Some(token) = tokens.next() {
        match &token {
            TokenTree::Ident(word) => {
                let word = word.to_string();
                let is_capital = word.starts_with(|letter: char| letter.is_uppercase());
                let after_path = before == [':', ':'] || before[1] == '.';
                let has_arguments = are_types
                    && matches!(tokens.peek(), Some(TokenTree::Punct(punct)) if punct.as_char() == '<');
                if is_capital && !after_path && !has_arguments && !PRELUDE.contains(&word.as_str())
                {
                    return true;
                }
            }
            TokenTree::Group(group) if may_name(group.stream(), are_types) => return true,
            _ => {}
        }
        let last = match &token {
            TokenTree::Punct(punct) => punct.as_char(),
            _ => ' ',
        };
        before = [before[1], last];
    }
    false
}

/// Whether a lifetime occurs that may be one of an `impl` block: neither `'static` nor a label.
pub(crate) fn names_lifetime(tokens: TokenStream) -> bool {
    let tokens: Vec<TokenTree> = tokens.into_iter().collect();
    let is_word = |index: Option<usize>, words: &[&str]| matches!(index.and_then(|index| tokens.get(index)), Some(TokenTree::Ident(word)) if words.iter().any(|other| word == other));
    let is_block = |index: usize| {
        is_word(Some(index), &["loop", "while", "for"])
            || matches!(tokens.get(index), Some(TokenTree::Group(group)) if group.delimiter() == Delimiter::Brace)
    };
    tokens.iter().enumerate().any(|(index, token)| match token {
        TokenTree::Group(group) => names_lifetime(group.stream()),
        TokenTree::Punct(punct) if punct.as_char() == '\'' => {
            let is_label = is_word(index.checked_sub(1), &["break", "continue"])
                || is_colon(tokens.get(index + 2)) && is_block(index + 3);
            !is_label && !is_word(Some(index + 1), &["static", "_"])
        }
        _ => false,
    })
}

fn is_colon(token: Option<&TokenTree>) -> bool {
    matches!(token, Some(TokenTree::Punct(punct)) if punct.as_char() == ':')
}

/// The first word that is a parameter of an `impl` block by the custom of all: `T`, `K2`.
pub(crate) fn outer_parameter(tokens: TokenStream) -> Option<Ident> {
    // `Variant::A` is none, `x: A` is one.
    let mut before = [' '; 2];
    tokens.into_iter().find_map(|token| {
        let found = match &token {
            TokenTree::Ident(word) => {
                (looks_like_parameter(word) && before != [':', ':'] && before[1] != '.')
                    .then(|| word.clone())
            }
            TokenTree::Group(group) => outer_parameter(group.stream()),
            _ => None,
        };
        let last = match &token {
            TokenTree::Punct(punct) => punct.as_char(),
            _ => ' ',
        };
        before = [before[1], last];
        found
    })
}

fn looks_like_parameter(word: &Ident) -> bool {
    let text = word.to_string();
    let mut letters = text.chars();
    letters.next().is_some_and(|first| first.is_ascii_uppercase())
        && letters.all(|letter| letter.is_ascii_digit())
}

/// A type parameter of the `impl` block or function around it, as far as the tokens of a body show it: a word like `T` or `K2`
/// where only a type can stand, which the body does not declare itself. (Elsewhere such a word may be a constant.)
pub(crate) fn outer_parameter_of_body(body: TokenStream) -> Option<Ident> {
    let mut declared = Vec::new();
    declare(body.clone(), &mut declared);
    let mut found = Vec::new();
    find_types(body, &mut found);
    found.into_iter().find(|word| !declared.contains(&word.to_string()))
}

/// The names of items, and all words among the parameters of one and in an import.
fn declare(tokens: TokenStream, declared: &mut Vec<String>) {
    const ITEMS: [&str; 8] = ["const", "enum", "fn", "static", "struct", "trait", "type", "union"];
    let mut tokens = tokens.into_iter().peekable();
    while let Some(token) = tokens.next() {
        let word = match token {
            TokenTree::Group(group) => {
                declare(group.stream(), declared);
                continue;
            }
            TokenTree::Ident(word) => word.to_string(),
            _ => continue,
        };
        let end = if word == "use" {
            ';'
        } else if word == "impl" {
            '>'
        } else if ITEMS.contains(&word.as_str()) {
            if let Some(TokenTree::Ident(name)) = tokens.peek() {
                declared.push(name.to_string());
                tokens.next();
            }
            '>'
        } else {
            continue;
        };
        let has_parameters =
            matches!(tokens.peek(), Some(TokenTree::Punct(punct)) if punct.as_char() == '<');
        if end == '>' && !has_parameters {
            continue;
        }
        for token in tokens.by_ref() {
            match token {
                TokenTree::Ident(word) => declared.push(word.to_string()),
                TokenTree::Group(group) => words(group.stream(), declared),
                TokenTree::Punct(punct) if punct.as_char() == end => break,
                _ => {}
            }
        }
    }
}

fn words(tokens: TokenStream, all: &mut Vec<String>) {
    for token in tokens {
        match token {
            TokenTree::Ident(word) => all.push(word.to_string()),
            TokenTree::Group(group) => words(group.stream(), all),
            _ => {}
        }
    }
}

/// Words after which a value begins, so that a `<` compares nothing.
const BEFORE_A_VALUE: [&str; 9] =
    ["as", "break", "else", "if", "in", "match", "mut", "return", "while"];

/// Finds each `T`, `U2` and the like at a place where only a type can stand, as in `T::new`, `Vec<T>`, `of::<T>`, `as T`, `<T as A>` and
/// `let x: T`: elsewhere it may be a constant.
fn find_types(tokens: TokenStream, found: &mut Vec<Ident>) {
    let tokens: Vec<TokenTree> = tokens.into_iter().collect();
    let punct = |index: Option<usize>| match index.and_then(|index| tokens.get(index)) {
        Some(TokenTree::Punct(punct)) => punct.as_char(),
        _ => ' ',
    };
    let word = |index: Option<usize>| match index.and_then(|index| tokens.get(index)) {
        Some(TokenTree::Ident(word)) => word.to_string(),
        _ => String::new(),
    };
    for (index, token) in tokens.iter().enumerate() {
        match token {
            TokenTree::Group(group) => find_types(group.stream(), found),
            TokenTree::Ident(name) if looks_like_parameter(name) => {
                let back = |steps| index.checked_sub(steps);
                let is_argument = punct(back(1)) == '<'
                    && (punct(back(2)) == ':' || word(back(2)).starts_with(char::is_uppercase));
                // Not the `<` of a comparison: nothing is before it that has a value.
                let is_qualified = punct(back(1)) == '<'
                    && word(Some(index + 1)) == "as"
                    && match back(2).and_then(|index| tokens.get(index)) {
                        Some(TokenTree::Punct(punct)) => punct.as_char() != '?',
                        Some(TokenTree::Ident(word)) => {
                            BEFORE_A_VALUE.contains(&&*word.to_string())
                        }
                        Some(_) => false,
                        None => true,
                    };
                let is_of_local =
                    punct(back(1)) == ':' && (word(back(3)) == "let" || word(back(3)) == "mut");
                let is_path = punct(Some(index + 1)) == ':' && punct(Some(index + 2)) == ':';
                let after_path = punct(back(1)) == ':' && punct(back(2)) == ':';
                if !after_path
                    && (is_argument
                        || is_qualified
                        || is_of_local
                        || is_path
                        || word(back(1)) == "as")
                {
                    found.push(name.clone());
                }
            }
            _ => {}
        }
    }
}
