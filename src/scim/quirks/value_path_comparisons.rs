//! Microsoft Entra ID looks users up by the path of a PATCH, which no filter can hold:
//!
//! ```text
//! GET /Users?filter=emails[type eq "work"].value eq "ann@example.com"
//! ```
//!
//! After the bracket of a value path nothing is compared (7644-3.4.2.2-02). It means
//! `emails[(type eq "work") and value eq "ann@example.com"]`: one value with both.

use super::literals::next_token;
use crate::base::limits;

/// The filter with each comparison after a bracket moved into it.
pub(super) fn filter(text: &str) -> Option<String> {
    // Most filters hold none, and are not read twice.
    if text.len() > limits::FILTER_BYTES || !text.contains("].") {
        return None;
    }
    let mut written = String::with_capacity(text.len());
    let mut opened = None;
    let mut rest = text;
    while let Some(token) = next_token(rest) {
        rest = &rest[token.len()..];
        match (token, opened) {
            ("[", _) => opened = Some(written.len() + 1),
            ("]", Some(start)) => {
                opened = None;
                if let Some(comparison) = comparison(rest) {
                    rest = &rest[comparison.len()..];
                    written.insert(start, '(');
                    written.push_str(") and ");
                    written.push_str(&comparison[1..]);
                }
            }
            _ => {}
        }
        written.push_str(token);
    }
    (written != text).then_some(written)
}

/// `.value eq "x"` or `.value pr` at the start of a text.
fn comparison(text: &str) -> Option<&str> {
    let mut words = Vec::new();
    let mut rest = text;
    while let Some(token) = next_token(rest).filter(|token| !["(", ")", "[", "]"].contains(token)) {
        rest = &rest[token.len()..];
        if !token.trim().is_empty() {
            words.push(token);
        }
        let is_whole = words.len() == 3 || matches!(words[..], [_, operator] if operator.eq_ignore_ascii_case("pr"));
        if is_whole {
            break;
        }
    }
    let is_whole = matches!(words[..], [_, _, _]) || matches!(words[..], [_, operator] if operator.eq_ignore_ascii_case("pr"));
    (text.starts_with('.') && is_whole).then(|| &text[..text.len() - rest.len()])
}
