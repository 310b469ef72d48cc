//! The grammar of RFC 7644 Figure 1 and of the PATCH path (Figure 7): a descent parser, bounded in depth, length and terms.

use super::{Expression, Operator};
use crate::base::limits;
use crate::scim::error::{Error, Result};
use crate::scim::path::{is_attribute_name, shorten};
use serde_json::{Number, Value};

/// The path of a PATCH operation as it is written (RFC 7644 Figure 7): `attrPath` or `attrPath[filter]` or `attrPath[filter].sub`.
#[derive(Clone, Debug, PartialEq)]
pub struct PathExpression {
    /// The attribute path before the bracket.
    pub path: String,
    /// The filter in brackets.
    pub filter: Option<Expression>,
    /// The sub-attribute after the bracket.
    pub sub_attribute: Option<String>,
}

/// Reads a filter. What does not follow the grammar is `invalidFilter`, and the detail says where.
///
/// Operators, `and`, `or`, `not` and the literals `true`, `false` and `null` are matched without regard to case. `not` need not be
/// followed by a space (erratum 7319), nor need an operator before a string.
///
/// ```
/// use carillon::scim::filter::parse;
/// let filter = parse(r#"title pr AND not(emails[type eq "work"])"#).expect("a filter");
/// assert_eq!(filter.to_string(), r#"title pr and not (emails[type eq "work"])"#);
/// ```
pub fn parse(text: &str) -> Result<Expression> {
    if text.len() > limits::FILTER_BYTES {
        return Err(Error::invalid_filter(format!("The filter is longer than {} bytes.", limits::FILTER_BYTES)));
    }
    let mut parser = Parser::new(text);
    let expression = parser.disjunction()?;
    parser.skip_space();
    if parser.rest().is_empty() { Ok(expression) } else { Err(parser.malformed("'and', 'or' or the end is expected")) }
}

/// Reads the path of a PATCH operation. A malformed path is `invalidPath`, a malformed filter within `invalidFilter`.
pub fn parse_path(text: &str) -> Result<PathExpression> {
    let start = text.find('[').unwrap_or(text.len());
    let path = &text[..start];
    if !is_path(path) {
        return Err(Error::invalid_path(format!("'{}' is not an attribute path.", shorten(text))));
    }
    if text.len() > limits::FILTER_BYTES {
        return Err(Error::invalid_path(format!("The path is longer than {} bytes.", limits::FILTER_BYTES)));
    }
    if start == text.len() {
        return Ok(PathExpression { path: path.to_owned(), filter: None, sub_attribute: None });
    }
    if is_index(&text[start + 1..]) {
        return Err(Error::invalid_path(format!("'{}' has an array index; values are selected by a filter.", shorten(text))));
    }
    let mut parser = Parser::new(text);
    parser.at = start;
    let filter = parser.bracketed()?;
    let sub_attribute = match parser.rest() {
        "" => None,
        rest => match rest.strip_prefix('.').filter(|name| is_attribute_name(name)) {
            Some(name) => Some(name.to_owned()),
            None => return Err(Error::invalid_path(format!("'{}' is not a sub-attribute after ']'.", shorten(rest)))),
        },
    };
    Ok(PathExpression { path: path.to_owned(), filter: Some(filter), sub_attribute })
}

/// Whether what follows an opening bracket is a number and the closing one.
fn is_index(text: &str) -> bool {
    let inner = text.split_once(']').map_or(text, |(inner, _)| inner).trim();
    let digits = inner.strip_prefix('-').unwrap_or(inner);
    !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit())
}

/// Whether a text has the form of an attribute path. Of a URN only the characters are looked at; resolution knows where it ends.
fn is_path(text: &str) -> bool {
    if text.len() > limits::PATH_BYTES {
        return false;
    }
    if text.as_bytes().get(..4).is_some_and(|start| start.eq_ignore_ascii_case(b"urn:")) {
        return text.bytes().all(|byte| byte.is_ascii_graphic() && !is_delimiter(byte));
    }
    match text.split_once('.') {
        Some((name, sub_attribute)) => is_attribute_name(name) && is_attribute_name(sub_attribute),
        None => is_attribute_name(text),
    }
}

fn is_delimiter(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\r' | b'\n' | b'(' | b')' | b'[' | b']' | b'"')
}

struct Parser<'a> {
    text: &'a str,
    /// How far the text is read, in bytes. Always on a character's boundary: only whole tokens are passed over, and they end at
    /// an ASCII character or at the end.
    at: usize,
    depth: usize,
    terms: usize,
    in_brackets: bool,
}

impl<'a> Parser<'a> {
    fn new(text: &'a str) -> Self {
        Self { text, at: 0, depth: 0, terms: 0, in_brackets: false }
    }

    fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }

    fn malformed(&self, what: &str) -> Error {
        let character = self.text[..self.at].chars().count() + 1;
        Error::invalid_filter(format!("The filter is malformed at character {character}: {what}."))
    }

    fn skip_space(&mut self) {
        self.at = self.text.len() - self.rest().trim_start_matches([' ', '\t', '\r', '\n']).len();
    }

    /// What stands before the next delimiter.
    fn token(&self) -> &'a str {
        let rest = self.rest();
        &rest[..rest.bytes().position(is_delimiter).unwrap_or(rest.len())]
    }

    /// Passes over a character after optional space, if it comes next.
    fn takes(&mut self, character: char) -> bool {
        self.skip_space();
        let comes = self.rest().starts_with(character);
        self.at += if comes { character.len_utf8() } else { 0 };
        comes
    }

    /// Passes over a word after optional space, if it comes next.
    fn takes_word(&mut self, word: &str) -> bool {
        self.skip_space();
        let comes = self.token().eq_ignore_ascii_case(word);
        self.at += if comes { word.len() } else { 0 };
        comes
    }

    /// Terms joined with `or`, which binds least (7644-3.4.2.2-05).
    fn disjunction(&mut self) -> Result<Expression> {
        let first = self.conjunction()?;
        let mut operands = vec![first];
        while self.takes_word("or") {
            operands.push(self.conjunction()?);
        }
        Ok(joined(operands, Expression::Or))
    }

    fn conjunction(&mut self) -> Result<Expression> {
        let first = self.operand()?;
        let mut operands = vec![first];
        while self.takes_word("and") {
            operands.push(self.operand()?);
        }
        Ok(joined(operands, Expression::And))
    }

    fn operand(&mut self) -> Result<Expression> {
        if self.takes('(') {
            return self.nested(')');
        }
        let before = self.at;
        if self.takes_word("not") {
            if self.takes('(') {
                return Ok(Expression::Not(Box::new(self.nested(')')?)));
            }
            // An attribute may be called "not": only the parenthesis makes it the operator.
            self.at = before;
        }
        self.term()
    }

    /// What follows an opening parenthesis or bracket, with the closing one.
    fn nested(&mut self, closing: char) -> Result<Expression> {
        if self.depth == limits::FILTER_DEPTH {
            return Err(self.malformed(&format!("it is nested deeper than {} levels", limits::FILTER_DEPTH)));
        }
        self.depth += 1;
        let expression = self.disjunction()?;
        self.depth -= 1;
        if self.takes(closing) {
            return Ok(expression);
        }
        Err(self.malformed(&format!("'and', 'or' or '{closing}' is expected")))
    }

    /// `[filter]`. The filter of a value path holds no other one.
    fn bracketed(&mut self) -> Result<Expression> {
        if self.in_brackets {
            return Err(self.malformed("a value path may not stand within another one"));
        }
        self.at += 1;
        self.in_brackets = true;
        let filter = self.nested(']')?;
        self.in_brackets = false;
        Ok(filter)
    }

    fn term(&mut self) -> Result<Expression> {
        let path = self.token();
        if path.is_empty() {
            return Err(self.malformed("an attribute is expected"));
        }
        if !is_path(path) {
            return Err(self.malformed(&format!("'{}' is not an attribute path", shorten(path))));
        }
        if self.terms == limits::FILTER_TERMS {
            return Err(self.malformed(&format!("it has more than {} terms", limits::FILTER_TERMS)));
        }
        self.terms += 1;
        self.at += path.len();
        let path = path.to_owned();
        if self.rest().starts_with('[') {
            return Ok(Expression::ValuePath { path, filter: Box::new(self.bracketed()?) });
        }
        if self.takes_word("pr") {
            return Ok(Expression::Present(path));
        }
        let word = self.token();
        let Some(operator) = Operator::named(word) else {
            let what =
                if word.is_empty() { "an operator is expected".into() } else { format!("'{}' is not an operator", shorten(word)) };
            return Err(self.malformed(&what));
        };
        self.at += word.len();
        Ok(Expression::Compare { path, operator, value: self.literal()? })
    }

    fn literal(&mut self) -> Result<Value> {
        self.skip_space();
        if self.rest().starts_with('"') {
            return self.string();
        }
        let token = self.token();
        let value = match token.as_bytes().first() {
            None => return Err(self.malformed("a value is expected")),
            Some(b'-' | b'0'..=b'9') => {
                let number = serde_json::from_str::<Number>(token);
                Value::Number(number.map_err(|_| self.malformed("this is not a JSON number, or one out of range"))?)
            }
            _ if token.eq_ignore_ascii_case("true") => Value::Bool(true),
            _ if token.eq_ignore_ascii_case("false") => Value::Bool(false),
            _ if token.eq_ignore_ascii_case("null") => Value::Null,
            // The token itself is not shown: it may be a secret.
            _ => return Err(self.malformed("a string must stand in double quotes")),
        };
        self.at += token.len();
        Ok(value)
    }

    /// A JSON string (RFC 8259 §7).
    fn string(&mut self) -> Result<Value> {
        let rest = self.rest();
        let mut escaped = false;
        let closing = rest.bytes().skip(1).position(|byte| {
            let closes = byte == b'"' && !escaped;
            escaped = byte == b'\\' && !escaped;
            closes
        });
        let Some(closing) = closing else { return Err(self.malformed("the string is not closed")) };
        let quoted = &rest[..closing + 2];
        let text: String =
            serde_json::from_str(quoted).map_err(|_| self.malformed("this is not a JSON string (RFC 8259 section 7)"))?;
        if text.contains('\0') {
            return Err(self.malformed("the string contains the character U+0000"));
        }
        self.at += quoted.len();
        Ok(Value::String(text))
    }
}

fn joined(mut operands: Vec<Expression>, join: fn(Vec<Expression>) -> Expression) -> Expression {
    match operands.pop() {
        Some(only) if operands.is_empty() => only,
        Some(last) => {
            operands.push(last);
            join(operands)
        }
        None => join(operands),
    }
}
