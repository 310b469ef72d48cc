//! From a text to its resources, however it is laid out and however it arrives.

use super::lines::Lines;
use crate::scim::error::ErrorKind;
use std::io::Read;

/// Brings a few bytes at a time.
struct Drops<'a>(&'a [u8], usize);

impl Read for Drops<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let count = self.0.len().min(self.1).min(buffer.len());
        buffer[..count].copy_from_slice(&self.0[..count]);
        self.0 = &self.0[count..];
        Ok(count)
    }
}

fn read(text: &str, at_once: usize) -> Vec<(u64, String)> {
    let records = Lines::new(Drops(text.as_bytes(), at_once), 40);
    let shown = records.map(|record| match record {
        Ok(record) => match record.text {
            Ok(text) => (record.origin.number, String::from_utf8_lossy(&text).trim().to_owned()),
            Err(error) => (record.origin.number, format!("{:?}", error.kind)),
        },
        Err(error) => (0, error.to_string()),
    });
    shown.collect()
}

fn shown(expected: &[(u64, &str)]) -> Vec<(u64, String)> {
    expected.iter().map(|(number, text)| (*number, (*text).to_owned())).collect()
}

#[test]
fn lines_are_counted_and_blank_ones_are_passed_over() {
    let long = "x".repeat(41);
    let text = format!("\u{feff}{{\"a\":1}}\r\n\n  \n{{bad\n{long}\n{{\"b\":\"[\"}}");
    let expected = shown(&[(1, r#"{"a":1}"#), (4, "{bad"), (5, &format!("{:?}", ErrorKind::TooLarge)), (6, r#"{"b":"["}"#)]);
    for at_once in [1, 2, 7, 1000] {
        assert_eq!(read(&text, at_once), expected, "{at_once} at a time");
    }
    assert_eq!(read("", 9), []);
}

#[test]
fn the_elements_of_an_array_are_resources() {
    let text = "[\n{\"a\":[1,{\"x\":\"],}\\\"\"}]},\n{\"b\":2}\n,3 , {\"c\":\n4}]\n";
    let expected = shown(&[(2, r#"{"a":[1,{"x":"],}\""}]}"#), (3, r#"{"b":2}"#), (4, "3"), (4, "{\"c\":\n4}")]);
    for at_once in [1, 2, 5, 1000] {
        assert_eq!(read(text, at_once), expected, "{at_once} at a time");
    }
    assert_eq!(read("[]\n", 9), []);
    let long = format!("[{{\"a\":\"{}\"}},{{}}]", "x".repeat(50));
    assert_eq!(read(&long, 10), shown(&[(1, "TooLarge"), (1, "{}")]));
}

#[test]
fn a_list_response_is_its_resources() {
    let text = r#"{"schemas":["urn:x"],"totalResults":2,"Resources":[{"a":{"Resources":[1]}},
{"b":2}],"startIndex":1,"z":[3]}"#;
    let expected = shown(&[(1, r#"{"a":{"Resources":[1]}}"#), (2, r#"{"b":2}"#)]);
    for at_once in [1, 7, 30, 1000] {
        assert_eq!(read(text, at_once), expected, "{at_once} at a time");
    }
    assert_eq!(read(r#"{"totalResults":0}"#, 99), []);
    // A resource is none, whatever it holds.
    let one = r#"{"a":{"Resources":[1]},"b":"Resources"}"#;
    for at_once in [1, 9, 1000] {
        assert_eq!(read(one, at_once), shown(&[(1, one)]), "{at_once} at a time");
        assert_eq!(read(&format!("\n \n[{one}]"), at_once), shown(&[(3, one)]), "{at_once} at a time");
    }
}

#[test]
fn what_is_cut_off_or_goes_on_is_told() {
    let cut = "the text ends within its list of resources";
    assert_eq!(read("[{\"a\":1},{\"b\"", 99), shown(&[(1, "{\"a\":1}"), (0, cut)]));
    assert_eq!(read("[{\"a\":1}", 99), shown(&[(0, cut)]));
    assert_eq!(read("[1]\n[2]", 99), shown(&[(1, "1"), (0, "line 2: something stands after the list of resources")]));
}
