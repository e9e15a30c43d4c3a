//! What a body calls: its own function, which is async, and what it awaits.

use proc_macro2::{Delimiter, Ident, TokenStream, TokenTree};

/// A call of the function by its own body.
pub(crate) struct Call {
    pub(crate) name: Ident,
    /// `Self::name(…)` or `self.name(…)`
    pub(crate) is_associated: bool,
}

/// The first call of `name` that is certainly no future to the body: an operand, something with
/// `?`, or the result. Anything else may be what an executor is given.
pub(crate) fn used_as_value(
    body: TokenStream,
    name: &Ident,
    result_is_opaque: bool,
) -> Option<Call> {
    let words: Vec<TokenTree> = body.clone().into_iter().collect();
    if defines(&words, name) {
        return None;
    }
    find(&words, name, !result_is_opaque, true)
}

/// `is_value`: what the function returns is no future. `is_end`: it returns what stands at the
/// end of these tokens.
fn find(tokens: &[TokenTree], name: &Ident, is_value: bool, is_end: bool) -> Option<Call> {
    for (index, token) in tokens.iter().enumerate() {
        let before = index.checked_sub(1).and_then(|index| tokens.get(index));
        match token {
            TokenTree::Ident(ident) if ident == name && is_parentheses(tokens.get(index + 1)) => {
                let Some((start, is_associated)) = start_of_path(tokens, index) else { continue };
                let before = start.checked_sub(1).and_then(|index| tokens.get(index));
                let after = tokens.get(index + 2);
                let ends = is_end && before.is_none_or(ends_statement) && after.is_none();
                let returned = is_word(before, "return") || ends;
                if is_operator(before)
                    || is_used(after, tokens.get(index + 3))
                    || (returned && is_value)
                {
                    return Some(Call { name: ident.clone(), is_associated });
                }
            }
            // A future of its own, or another function.
            TokenTree::Group(_) if is_word(before, "async") || is_word(before, "move") => {}
            TokenTree::Group(group) => {
                let tokens_inside: Vec<TokenTree> = group.stream().into_iter().collect();
                // A block that ends what is returned, or an arm of it.
                let is_end = is_end
                    && group.delimiter() == Delimiter::Brace
                    && (index + 1 == tokens.len() || is_word(tokens.get(index + 1), "else"));
                if let Some(call) = find(&tokens_inside, name, is_value, is_end) {
                    return Some(call);
                }
            }
            _ => {}
        }
    }
    None
}

/// Where the path to a called name begins, and whether it goes through the type; `None` for the
/// method of something else, or a name in another module.
fn start_of_path(tokens: &[TokenTree], index: usize) -> Option<(usize, bool)> {
    let punct = |back: usize| match index.checked_sub(back).and_then(|index| tokens.get(index)) {
        Some(TokenTree::Punct(punct)) => Some(punct.as_char()),
        _ => None,
    };
    match (punct(1), punct(2)) {
        (Some(':'), Some(':')) => {
            is_word(index.checked_sub(3).and_then(|index| tokens.get(index)), "Self")
                .then(|| (index - 3, true))
        }
        (Some('.'), _) => {
            let is_self = is_word(index.checked_sub(2).and_then(|index| tokens.get(index)), "self");
            let is_field = matches!(punct(3), Some('.'));
            (is_self && !is_field).then(|| (index - 2, true))
        }
        _ => Some((index, false)),
    }
}

/// Whether the body has something else of that name: a local, a function, an import.
fn defines(tokens: &[TokenTree], name: &Ident) -> bool {
    tokens.iter().enumerate().any(|(index, token)| match token {
        TokenTree::Ident(ident) if ident == name => {
            let before = index.checked_sub(1).and_then(|index| tokens.get(index));
            let after = tokens.get(index + 1);
            ["fn", "let", "mut", "ref", "use", "as"].iter().any(|word| is_word(before, word))
                || !is_parentheses(after)
                    && !matches!(before, Some(TokenTree::Punct(punct)) if punct.as_char() == '.')
        }
        TokenTree::Group(group) => defines(&group.stream().into_iter().collect::<Vec<_>>(), name),
        _ => false,
    })
}

fn is_word(token: Option<&TokenTree>, word: &str) -> bool {
    matches!(token, Some(TokenTree::Ident(ident)) if ident == word)
}

fn is_parentheses(token: Option<&TokenTree>) -> bool {
    matches!(token, Some(TokenTree::Group(group)) if group.delimiter() == Delimiter::Parenthesis)
}

/// Whether what follows begins a statement of its own.
fn ends_statement(token: &TokenTree) -> bool {
    match token {
        TokenTree::Punct(punct) => punct.as_char() == ';',
        TokenTree::Group(group) => group.delimiter() == Delimiter::Brace,
        _ => false,
    }
}

/// Whether an operator stands before a call that makes it an operand.
fn is_operator(token: Option<&TokenTree>) -> bool {
    matches!(token, Some(TokenTree::Punct(punct)) if "+*/%^<".contains(punct.as_char()))
}

/// Whether what follows a call uses its value.
fn is_used(token: Option<&TokenTree>, next: Option<&TokenTree>) -> bool {
    match token {
        Some(TokenTree::Punct(punct)) => match punct.as_char() {
            '.' => [
                "unwrap",
                "expect",
                "len",
                "iter",
                "clone",
                "is_some",
                "is_none",
                "is_ok",
                "is_err",
                "to_string",
            ]
            .iter()
            .any(|method| is_word(next, method)),
            letter => "?+-*/%^<".contains(letter),
        },
        Some(TokenTree::Ident(word)) => word == "as",
        _ => false,
    }
}

/// The first `.await` of the body itself. Those in an `async` block, in a closure or a function inside,
/// and in what is given to a macro, are not its own.
pub(crate) fn first_await(body: TokenStream) -> Option<Ident> {
    let tokens: Vec<TokenTree> = body.into_iter().collect();
    let mut is_async = false;
    let mut is_function = false;
    for (index, token) in tokens.iter().enumerate() {
        let before = index.checked_sub(1).and_then(|index| tokens.get(index));
        match token {
            TokenTree::Ident(word) if word == "async" => is_async = true,
            TokenTree::Ident(word)
                if word == "fn" || word == "impl" || word == "trait" || word == "mod" =>
            {
                is_function = true
            }
            TokenTree::Ident(word) if word == "await" => {
                let is_await =
                    matches!(before, Some(TokenTree::Punct(punct)) if punct.as_char() == '.');
                if is_await && !is_async {
                    return Some(word.clone());
                }
            }
            TokenTree::Punct(punct) if punct.as_char() == ';' => {
                (is_async, is_function) = (false, false)
            }
            TokenTree::Group(group)
                if group.delimiter() == Delimiter::Brace && (is_async || is_function) =>
            {
                (is_async, is_function) = (false, false);
            }
            TokenTree::Group(group) => {
                let is_macro = matches!(before, Some(TokenTree::Punct(punct)) if punct.as_char() == '!')
                    || (group.delimiter() != Delimiter::None && after_macro(&tokens, index));
                if !is_macro && !is_async && !is_function {
                    if let Some(word) = first_await(group.stream()) {
                        return Some(word);
                    }
                }
            }
            _ => {}
        }
    }
    None
}

/// `macro_rules! name { … }`
fn after_macro(tokens: &[TokenTree], index: usize) -> bool {
    let two_before = index.checked_sub(2).and_then(|index| tokens.get(index));
    matches!(two_before, Some(TokenTree::Punct(punct)) if punct.as_char() == '!')
}
