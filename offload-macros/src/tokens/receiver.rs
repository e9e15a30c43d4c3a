//! What a body says of its `self` and its `Self`, apart from the items in it,
//! which may have their own.
//!
//! `#[to_owned] &self`: the body is to see the job's own copy where it says
//! `self`, and no expression but the receiver itself can be called `self`. So
//! the word is replaced, in macros too; a hidden method that keeps it would not
//! be possible in the `impl` of a trait.

use proc_macro2::{Delimiter, Group, Ident, Literal, Spacing, TokenStream, TokenTree};

/// The first `Self`, outside of types that are defined there: a function that says it is an associated one.
pub(crate) fn own_type(tokens: TokenStream) -> Option<Ident> {
    let mut is_inside = false;
    tokens.into_iter().find_map(|token| match token {
        TokenTree::Ident(word) if word == "Self" => Some(word),
        TokenTree::Ident(word) if word == "impl" || word == "trait" => {
            is_inside = true;
            None
        }
        // The block of an `impl` has its own `Self`.
        TokenTree::Group(group) if is_inside && group.delimiter() == Delimiter::Brace => {
            is_inside = false;
            None
        }
        TokenTree::Group(group) => own_type(group.stream()),
        _ => None,
    })
}

/// The body with `local` in place of `self`, except in paths (`self::module`).
pub(crate) fn replace_self(body: TokenStream, local: &Ident) -> TokenStream {
    walk(body, &mut |ident, is_path| {
        if ident == "self" && !is_path {
            // With the span of the word, hygiene and all: where `self` would not be this one,
            // the local is not either, and what is suggested is suggested where the word stands.
            let mut local = local.clone();
            local.set_span(ident.span());
            local
        } else {
            ident
        }
    })
}

/// Shows every word of a body, and whether `::` follows, and puts what comes back
/// in its place. The items in a body stay as they are.
fn walk(body: TokenStream, visit: &mut dyn FnMut(Ident, bool) -> Ident) -> TokenStream {
    let mut output = TokenStream::new();
    let mut tokens = body.into_iter().peekable();
    while let Some(token) = tokens.next() {
        match token {
            TokenTree::Ident(ident) => {
                let end = end_of_item(&ident, tokens.peek());
                let ident = visit(ident, is_path(tokens.peek()));
                output.extend([TokenTree::Ident(ident)]);
                let Some(is_end) = end else { continue };
                for token in tokens.by_ref() {
                    let ends = is_end(&token);
                    output.extend([token]);
                    if ends {
                        break;
                    }
                }
            }
            TokenTree::Group(group) => {
                let mut walked = Group::new(group.delimiter(), walk(group.stream(), visit));
                walked.set_span(group.span());
                output.extend([TokenTree::Group(walked)]);
            }
            other => output.extend([other]),
        }
    }
    output
}

/// If an item begins with this word, how to know its last token.
fn end_of_item(word: &Ident, next: Option<&TokenTree>) -> Option<fn(&TokenTree) -> bool> {
    let block: fn(&TokenTree) -> bool =
        |token| matches!(token, TokenTree::Group(group) if group.delimiter() == Delimiter::Brace);
    let name_follows = match next {
        Some(TokenTree::Ident(_)) => true,
        // `fn $name`, in a macro by example.
        Some(TokenTree::Punct(punct)) => punct.as_char() == '$',
        _ => false,
    };
    if word == "impl" || word == "trait" || (word == "fn" && name_follows) {
        Some(block)
    } else if word == "use" {
        Some(|token| matches!(token, TokenTree::Punct(punct) if punct.as_char() == ';'))
    } else if word == "pub" && matches!(next, Some(TokenTree::Group(_))) {
        Some(|_| true)
    } else {
        None
    }
}

/// Whether a body has `self.field = …` in it.
pub(crate) fn assigns_to_field(body: TokenStream) -> bool {
    let mut after_self = false;
    let mut tokens = body.into_iter().peekable();
    while let Some(token) = tokens.next() {
        match token {
            TokenTree::Ident(word) => after_self |= word == "self",
            TokenTree::Group(group) if assigns_to_field(group.stream()) => return true,
            TokenTree::Punct(punct) if punct.as_char() == '=' => {
                if after_self && !is_operator(tokens.peek()) {
                    return true;
                }
                after_self = false;
            }
            TokenTree::Punct(punct) if punct.as_char() == '.' => {}
            TokenTree::Punct(_) => after_self = false,
            _ => {}
        }
    }
    false
}

/// Whether an `=` goes on, as in `==` and `=>`.
fn is_operator(next: Option<&TokenTree>) -> bool {
    matches!(next, Some(TokenTree::Punct(punct)) if matches!(punct.as_char(), '=' | '>'))
}

fn is_path(next: Option<&TokenTree>) -> bool {
    matches!(next, Some(TokenTree::Punct(punct)) if punct.as_char() == ':' && punct.spacing() == Spacing::Joint)
}

/// `format!("{self}")`: the strings with a `self` that no token shows.
pub(crate) fn strings_with_self(body: TokenStream) -> Vec<Literal> {
    let mut found = Vec::new();
    find_strings(body, false, &mut found);
    found
}

fn find_strings(tokens: TokenStream, in_macro: bool, found: &mut Vec<Literal>) {
    let mut after_bang = false;
    for token in tokens {
        match &token {
            TokenTree::Group(group) => {
                find_strings(group.stream(), in_macro || after_bang, found);
            }
            TokenTree::Literal(literal) if in_macro && captures_self(&literal.to_string()) => {
                found.push(literal.clone());
            }
            _ => {}
        }
        after_bang = matches!(&token, TokenTree::Punct(punct) if punct.as_char() == '!');
    }
}

/// Whether a string, used as a format string, shows `self`.
fn captures_self(literal: &str) -> bool {
    let unescaped = literal.replace("{{", "");
    literal.ends_with(['"', '#']) && (unescaped.contains("{self}") || unescaped.contains("{self:"))
}
