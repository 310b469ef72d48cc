//! Microsoft Entra ID, Okta and others pass on what people typed into a directory:
//!
//! ```json
//! {"op": "Add", "path": "addresses[type eq \"work\"].country", "value": "Germany"}
//! {"op": "Add", "path": "timezone", "value": "W. Europe Standard Time"}
//! {"op": "Add", "path": "preferredLanguage", "value": "en_US"}
//! ```
//!
//! RFC 7643 §4.1 wants a code of ISO 3166-1, a name of the IANA time zone database and the syntax of `Accept-Language`. To refuse
//! the user for such a label would stop the provisioning of a person over a word that nothing rests on. So:
//!
//! - a country's name or alpha-3 code means its alpha-2 code, where only one country is called so: `"Germany"` and `"DEU"` are stored
//!   as `"DE"`. Any other text is kept as it is sent;
//! - `locale`, `preferredLanguage` and `timezone` are kept as they are sent;
//! - a value of `x509Certificates` may be any bytes, but never several certificates.

use crate::scim::compare::fold;
use crate::scim::validate::format;
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::LazyLock;

/// What people call countries, beside the names of ISO 3166-1.
const OTHER_NAMES: [(&str, &str); 35] = [
    ("Bosnia", "BA"),
    ("Britain", "GB"),
    ("Brunei", "BN"),
    ("Burma", "MM"),
    ("Cape Verde", "CV"),
    ("Cote d'Ivoire", "CI"),
    ("Curacao", "CW"),
    ("Czech Republic", "CZ"),
    ("Deutschland", "DE"),
    ("East Timor", "TL"),
    ("Great Britain", "GB"),
    ("Holland", "NL"),
    ("Hong Kong SAR", "HK"),
    ("Ivory Coast", "CI"),
    ("Laos", "LA"),
    ("Macau", "MO"),
    ("Macedonia", "MK"),
    ("North Korea", "KP"),
    ("Republic of Korea", "KR"),
    ("Reunion", "RE"),
    ("Russia", "RU"),
    ("South Korea", "KR"),
    ("Swaziland", "SZ"),
    ("Syria", "SY"),
    ("The Netherlands", "NL"),
    ("Turkey", "TR"),
    ("Turkiye", "TR"),
    ("U.K.", "GB"),
    ("U.S.", "US"),
    ("U.S.A.", "US"),
    ("UK", "GB"),
    ("United Kingdom", "GB"),
    ("United States", "US"),
    ("Vatican City", "VA"),
    ("Vietnam", "VN"),
];

/// Names in the form in which they are compared. A name that several countries share has no code.
static NAMES: LazyLock<HashMap<String, Option<&'static str>>> = LazyLock::new(|| {
    let mut names = HashMap::new();
    for country in rust_iso3166::ALL {
        // "Bolivia (Plurinational State of)" is called Bolivia; "Congo" is the start of two names.
        let short = country.name.split(" (").next().unwrap_or(country.name);
        claim(&mut names, short, country.alpha2);
        if short != country.name {
            claim(&mut names, country.name, country.alpha2);
        }
        claim(&mut names, country.alpha3, country.alpha2);
    }
    for (name, alpha2) in OTHER_NAMES {
        claim(&mut names, name, alpha2);
    }
    names
});

fn claim(names: &mut HashMap<String, Option<&'static str>>, name: &str, alpha2: &'static str) {
    match names.entry(fold(name).into_owned()) {
        Entry::Vacant(place) => {
            place.insert(Some(alpha2));
        }
        Entry::Occupied(mut place) if *place.get() != Some(alpha2) => {
            place.insert(None);
        }
        Entry::Occupied(_) => {}
    }
}

/// The alpha-2 code of the country that a text names; `None` when it names none, or several.
pub(crate) fn country(text: &str) -> Option<&'static str> {
    let text = text.trim();
    format::country(text).or_else(|| NAMES.get(fold(text).as_ref()).copied().flatten())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_country_is_known_by_its_names_where_they_are_its_own() {
        for (text, code) in [
            ("de", "DE"),
            ("Germany", "DE"),
            ("GERMANY ", "DE"),
            ("deu", "DE"),
            ("United States", "US"),
            ("united states of america", "US"),
            ("USA", "US"),
            ("UK", "GB"),
            ("Bolivia", "BO"),
            ("Türkiye", "TR"),
            ("Viet Nam", "VN"),
            ("Congo (Democratic Republic of the)", "CD"),
        ] {
            assert_eq!(country(text), Some(code), "{text}");
        }
        for text in ["", "Congo", "Korea", "Virgin Islands", "Atlantis", "ZZ", "276"] {
            assert_eq!(country(text), None, "{text}");
        }
        for (_, alpha2) in OTHER_NAMES {
            assert!(format::country(alpha2) == Some(alpha2), "{alpha2}");
        }
    }
}
