mod house;
mod receiver;

use super::*;
use crate::base::secret::Secret;
use crate::store::ledger::Record;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use house::{Cut, Hand, House};
use jsonwebtoken::{DecodingKey, Validation, decode};
use receiver::{claims, header, published, states, verify};
use serde_json::json;

const MINUTE_MS: i64 = 60_000;
const HOUR_MS: i64 = 60 * MINUTE_MS;
const PAIRS: [Algorithm; 3] = [Algorithm::Es256, Algorithm::EdDsa, Algorithm::Rs256];

/// 8417-2.3-01 7515-4.1-01 SSF-4.1.1-01
#[tokio::test]
async fn a_set_says_what_it_is_and_which_key_verifies_it() {
    let keys = House::new("memory").node();
    for algorithm in PAIRS {
        keys.ensure(algorithm).await.expect("a key");
        let token = keys.sign(algorithm, &claims()).expect("a SET");
        let kid = states(&keys, algorithm).await[0].1.clone();
        assert_eq!(header(&token), json!({"typ": "secevent+jwt", "alg": algorithm.name(), "kid": kid}));
        assert_eq!(token.split('.').count(), 3);
        assert!(token.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte)), "{token}");
        let set = published(&keys).await;
        assert_eq!(verify(&token, &set), Ok(claims()), "{algorithm:?}");
        // The thumbprint is what anybody computes of the public key.
        let jwk = set.find(&kid).expect("the key");
        assert_eq!(jwk.thumbprint(jsonwebtoken::jwk::ThumbprintHash::SHA256).expect("a thumbprint"), kid);
    }
}

/// 8417-2.4-01 8725-3.1-01
#[tokio::test]
async fn whoever_verifies_with_the_published_keys_takes_nothing_else() {
    let keys = House::new("memory").node();
    keys.ensure(Algorithm::Es256).await.expect("a key");
    keys.ensure(Algorithm::EdDsa).await.expect("a key");
    let set = published(&keys).await;
    let token = keys.sign(Algorithm::Es256, &claims()).expect("a SET");
    let (head, rest) = token.split_once('.').expect("a header");
    let (body, signature) = rest.split_once('.').expect("a signature");
    let encode = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let with = |name: &str, value: &str| {
        let mut header = header(&token);
        header[name] = value.into();
        encode(&header)
    };
    let unsigned = format!("{}.{body}.", with("alg", "none"));
    let confused = format!("{}.{body}.{signature}", with("alg", "HS256"));
    let other = states(&keys, Algorithm::EdDsa).await[0].1.clone();
    let misnamed = format!("{}.{body}.{signature}", with("kid", &other));
    let changed =
        format!("{head}.{}.{signature}", encode(&json!({"iss": "https://scim.example.com", "aud": "https://r.example.com"})));
    for forged in [unsigned, confused, misnamed, changed] {
        assert!(verify(&forged, &set).is_err(), "{forged}");
    }
    assert!(verify(&token, &set).is_ok());
}

#[tokio::test]
async fn the_jwk_set_holds_public_members_alone() {
    let keys = House::new("memory").node();
    for algorithm in PAIRS {
        keys.ensure(algorithm).await.expect("a key");
    }
    let set: Value = serde_json::from_str(&keys.published().await.expect("a set")).expect("JSON");
    let names = |key: &Value| key.as_object().expect("a key").keys().cloned().collect::<Vec<_>>().join(" ");
    let names: Vec<String> = set["keys"].as_array().expect("keys").iter().map(names).collect();
    assert_eq!(names, ["kty crv x y kid use alg", "kty crv x kid use alg", "kty n e kid use alg"]);
}

/// 8725-3.1-01
#[tokio::test]
async fn a_shared_secret_signs_and_is_never_published() {
    let mut house = House::new("memory");
    let secret = "0123456789abcdef0123456789abcdef";
    house.settings = Settings { algorithm: Algorithm::Hs256, signing_secret: Some(Secret::new(secret)), ..Settings::default() };
    let keys = house.node();
    keys.ensure(Algorithm::Hs256).await.expect("the secret");
    let token = keys.sign(Algorithm::Hs256, &claims()).expect("a SET");
    let mut validation = Validation::new(jsonwebtoken::Algorithm::HS256);
    validation.set_audience(&["https://r.example.com"]);
    validation.set_required_spec_claims(&["aud"]);
    validation.validate_exp = false;
    let known = decode::<Value>(&token, &DecodingKey::from_secret(secret.as_bytes()), &validation).expect("verified");
    assert_eq!((known.claims, known.header.typ.as_deref()), (claims(), Some("secevent+jwt")));
    assert_eq!(&*keys.published().await.expect("a set"), r#"{"keys":[]}"#);
    assert_eq!(keys.rotate(None, false).await.expect_err("refused").kind, ErrorKind::InvalidValue);

    let without = House::new("memory").node();
    for refused in [without.ensure(Algorithm::Hs256).await.err(), without.sign(Algorithm::Hs256, &claims()).err()] {
        assert_eq!(refused.expect("refused").detail, "HS256 is not available: the server has no SET_SIGNING_SECRET.");
    }
}

#[tokio::test]
async fn a_rotation_announces_a_key_long_before_it_signs() {
    let house = House::new("memory");
    let keys = house.node();
    let set = published(&keys).await;
    let first = states(&keys, Algorithm::Es256).await[0].1.clone();
    let old = keys.sign(Algorithm::Es256, &claims()).expect("a SET");
    keys.rotate(None, false).await.expect("rotated");
    let announced = states(&keys, Algorithm::Es256).await;
    assert_eq!((announced[0].clone(), announced[1].0), ((State::Active, first.clone()), State::Next));
    assert_eq!((set.keys.len(), published(&keys).await.keys.len()), (1, 2));
    assert_eq!(header(&keys.sign(Algorithm::Es256, &claims()).expect("a SET"))["kid"], first);
    let twice = keys.rotate(None, false).await.expect_err("announced already");
    assert_eq!(twice.kind, ErrorKind::Conflict);
    assert!(twice.detail.contains(&announced[1].1), "{}", twice.detail);

    for (minutes, kid, is_known) in [(29, &first, true), (1, &announced[1].1, true), (30 * 24 * 60 + 14, &announced[1].1, true)] {
        house.clock.turn(minutes * MINUTE_MS);
        keys.keep().await.expect("kept");
        let new = keys.sign(Algorithm::Es256, &claims()).expect("a SET");
        let set = published(&keys).await;
        assert_eq!((&header(&new)["kid"], verify(&new, &set)), (&json!(kid), Ok(claims())));
        assert_eq!(verify(&old, &set).is_ok(), is_known);
    }
    house.clock.turn(MINUTE_MS);
    keys.keep().await.expect("kept");
    assert_eq!(states(&keys, Algorithm::Es256).await, [(State::Active, announced[1].1.clone())]);
    assert_eq!(verify(&old, &published(&keys).await), Err("no such key".into()));
}

#[tokio::test]
async fn a_rotation_now_takes_the_announced_key_if_there_is_one() {
    let house = House::new("memory");
    let keys = house.node();
    keys.rotate(Some(Algorithm::EdDsa), false).await.expect("the first key");
    assert_eq!(states(&keys, Algorithm::EdDsa).await.len(), 1);
    keys.rotate(Some(Algorithm::EdDsa), false).await.expect("announced");
    let next = states(&keys, Algorithm::EdDsa).await[1].1.clone();
    keys.rotate(Some(Algorithm::EdDsa), true).await.expect("activated");
    assert_eq!(header(&keys.sign(Algorithm::EdDsa, &claims()).expect("a SET"))["kid"], next);
    house.clock.turn(MINUTE_MS);
    keys.rotate(Some(Algorithm::EdDsa), true).await.expect("another");
    let states = states(&keys, Algorithm::EdDsa).await;
    assert_eq!(states.iter().map(|(state, _)| *state).collect::<Vec<_>>(), [State::Active, State::Retired, State::Retired]);
    assert_eq!(states[1].1, next);
}

#[tokio::test]
async fn a_key_that_is_retired_leaves_at_once_and_another_one_signs() {
    let house = House::new("memory");
    let keys = house.node();
    keys.ensure(Algorithm::Es256).await.expect("a key");
    let stolen = states(&keys, Algorithm::Es256).await[0].1.clone();
    let old = keys.sign(Algorithm::Es256, &claims()).expect("a SET");
    keys.retire(&stolen).await.expect("retired");
    let new = keys.sign(Algorithm::Es256, &claims()).expect("a SET");
    let set = published(&keys).await;
    assert_eq!((set.keys.len(), verify(&new, &set), verify(&old, &set)), (1, Ok(claims()), Err("no such key".into())));
    // What is announced already is better known than a new one.
    keys.rotate(None, false).await.expect("announced");
    let known = states(&keys, Algorithm::Es256).await;
    keys.retire(&known[0].1).await.expect("retired");
    assert_eq!(states(&keys, Algorithm::Es256).await, [(State::Active, known[1].1.clone())]);
    let unknown = keys.retire(&stolen).await.expect_err("gone");
    assert_eq!((unknown.kind, unknown.detail), (ErrorKind::NotFound, format!("Signing key {stolen} not found.")));
}

#[tokio::test]
async fn nodes_that_race_end_with_one_active_key() {
    for backend in ["memory", "sqlite"] {
        let house = House::new(backend);
        let nodes: Vec<Arc<Keys>> = (0..4).map(|_| Arc::new(house.node())).collect();
        let race = |act: fn(Arc<Keys>) -> futures_util::future::BoxFuture<'static, ()>| {
            let nodes = nodes.clone();
            async move {
                let racing: Vec<_> = nodes.iter().map(|keys| tokio::spawn(act(Arc::clone(keys)))).collect();
                for node in racing {
                    node.await.expect("no panic");
                }
            }
        };
        race(|keys| Box::pin(async move { keys.ensure(Algorithm::Es256).await.expect("a key") })).await;
        let one = states(&nodes[0], Algorithm::Es256).await;
        assert_eq!(one.len(), 1, "{backend}: {one:?}");
        race(|keys| Box::pin(async move { keys.rotate(None, true).await.expect("a key") })).await;
        race(|keys| Box::pin(async move { keys.keep().await.expect("kept") })).await;
        let all = states(&nodes[0], Algorithm::Es256).await;
        assert_eq!(all.iter().filter(|(state, _)| *state == State::Active).count(), 1, "{backend}: {all:?}");
        assert_eq!(all.len(), 5, "{backend}: {all:?}");
        for keys in &nodes {
            assert_eq!(header(&keys.sign(Algorithm::Es256, &claims()).expect("a SET"))["kid"], all[0].1);
        }
    }
}

/// Everything that a rotation and a retirement write, one after another; it ends at the first failure.
async fn whole_life(keys: &Keys, clock: &Hand, signed: &mut Vec<String>) -> Result<()> {
    let sign = |signed: &mut Vec<String>| keys.sign(Algorithm::Es256, &claims()).map(|token| signed.push(token));
    keys.ensure(Algorithm::Es256).await?;
    sign(signed)?;
    keys.rotate(None, false).await?;
    sign(signed)?;
    clock.turn(HOUR_MS);
    keys.keep().await.map_err(|error| error.answer())?;
    sign(signed)?;
    keys.rotate(None, true).await?;
    sign(signed)?;
    keys.rotate(None, false).await?;
    let next = keys.list().await?[1].kid.clone();
    keys.retire(&next).await?;
    sign(signed)
}

/// The process is killed at any step of a rotation, before or after the step is on disk.
#[tokio::test]
async fn whatever_stops_a_rotation_the_next_start_signs_and_verifies() {
    const WRITES: usize = 6;
    for backend in ["memory", "sqlite"] {
        for writes in 1..=WRITES + 1 {
            for cut in [Cut::Before, Cut::After] {
                let house = House::new(backend);
                let mut signed = Vec::new();
                let ended = whole_life(&house.doomed(writes, cut), &house.clock, &mut signed).await;
                assert_eq!(ended.is_ok(), writes > WRITES, "{backend} {writes} {cut:?}");
                let restarted = house.node();
                restarted.ensure(Algorithm::Es256).await.expect("a key");
                restarted.keep().await.expect("kept");
                signed.push(restarted.sign(Algorithm::Es256, &claims()).expect("a SET"));
                let set = published(&restarted).await;
                for token in &signed {
                    assert_eq!(verify(token, &set), Ok(claims()), "{backend} {writes} {cut:?}");
                }
                let states = states(&restarted, Algorithm::Es256).await;
                assert_eq!(states.iter().filter(|(state, _)| *state == State::Active).count(), 1, "{states:?}");
                assert!(states.iter().filter(|(state, _)| *state == State::Next).count() <= 1, "{states:?}");
                restarted.rotate(None, true).await.expect("it can be rotated on");
            }
        }
    }
}

#[tokio::test]
async fn a_clock_that_is_set_back_loses_no_key() {
    let house = House::new("memory");
    let keys = house.node();
    keys.ensure(Algorithm::Es256).await.expect("a key");
    keys.rotate(None, false).await.expect("announced");
    house.clock.turn(31 * MINUTE_MS);
    keys.keep().await.expect("kept");
    let before = states(&keys, Algorithm::Es256).await;
    assert_eq!(before.iter().map(|(state, _)| *state).collect::<Vec<_>>(), [State::Active, State::Retired]);
    house.clock.turn(-HOUR_MS);
    keys.keep().await.expect("kept");
    assert_eq!(states(&keys, Algorithm::Es256).await, before);
    keys.rotate(None, false).await.expect("announced");
    for _ in 0..3 {
        house.clock.turn(-HOUR_MS);
        keys.keep().await.expect("kept");
        assert_eq!(header(&keys.sign(Algorithm::Es256, &claims()).expect("a SET"))["kid"], before[0].1);
        assert_eq!(states(&keys, Algorithm::Es256).await.len(), 3);
    }
    house.clock.turn(4 * HOUR_MS);
    keys.keep().await.expect("kept");
    let after = states(&house.node(), Algorithm::Es256).await;
    assert_eq!(after.iter().map(|(state, _)| *state).collect::<Vec<_>>(), [State::Active, State::Retired, State::Retired]);
}

#[tokio::test]
async fn a_node_follows_what_another_one_does() {
    let house = House::new("memory");
    let (one, other) = (house.node(), Arc::new(house.node()));
    one.ensure(Algorithm::Es256).await.expect("a key");
    other.ensure(Algorithm::Es256).await.expect("the key");
    let following = tokio::spawn({
        let other = Arc::clone(&other);
        async move { other.follow().await }
    });
    one.rotate(None, true).await.expect("rotated");
    let active = states(&one, Algorithm::Es256).await[0].1.clone();
    let followed = async {
        while header(&other.sign(Algorithm::Es256, &claims()).expect("a SET"))["kid"] != active {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), followed).await.expect("it follows");
    following.abort();
}

#[tokio::test]
async fn private_keys_are_sealed_and_open_under_the_key_of_the_house_alone() {
    let mut house = House::new("sqlite");
    house.node().ensure(Algorithm::Es256).await.expect("a key");
    let records = house.ledger.records(book::KEYS).await.expect("records");
    let body: Value = serde_json::from_str(&records[0].body).expect("JSON");
    assert!(body["private"].as_str().is_some_and(|private| private.starts_with("sealed:")), "{body}");
    for wrong in [None, Some("another key")] {
        house.secrets_key = wrong;
        let error = house.node().read().await.expect_err("it does not open").to_string();
        assert_eq!(error, "a kept secret cannot be opened: SECRETS_KEY is missing, or not the key it was sealed with");
    }
    house.secrets_key = Some("the key of the house");
    let keys = house.node();
    keys.rotate(None, true).await.expect("rotated");
    let records = house.ledger.records(book::KEYS).await.expect("records");
    let private = |record: &Record| serde_json::from_str::<Value>(&record.body).expect("JSON")["private"].is_string();
    assert_eq!(records.iter().filter(|record| private(record)).count(), 1, "a retired key has no private half any more");
}

#[tokio::test]
async fn keys_that_were_kept_open_are_sealed_once_there_is_a_key_for_secrets() {
    let mut house = House::new("sqlite");
    house.secrets_key = None;
    let keys = house.node();
    for algorithm in PAIRS {
        keys.ensure(algorithm).await.expect("a key");
    }
    keys.rotate(None, false).await.expect("announced");
    let before = keys.list().await.expect("keys");
    house.secrets_key = Some("the key of the house");
    let sealing = house.node();
    sealing.keep().await.expect("sealed");
    assert_eq!(sealing.list().await.expect("keys"), before);
    assert_eq!(verify(&sealing.sign(Algorithm::Es256, &claims()).expect("a SET"), &published(&keys).await), Ok(claims()));
    let records = house.ledger.records(book::KEYS).await.expect("records");
    assert_eq!(records.iter().filter(|record| record.body.contains("\"private\":\"sealed:")).count(), 4);
    assert!(!records.iter().any(|record| record.body.contains("plain:")));
}

#[tokio::test]
async fn what_is_signed_twice_under_one_key_is_signed_once() {
    let house = House::new("memory");
    let keys = house.node();
    for algorithm in [Algorithm::Es256, Algorithm::Rs256] {
        keys.ensure(algorithm).await.expect("a key");
        let first = keys.sign(algorithm, &claims()).expect("a SET");
        // A new signature of ES256 never is the same.
        assert_eq!(keys.sign(algorithm, &claims()).expect("a SET"), first);
        let mut others = claims();
        others["jti"] = "another".into();
        assert_ne!(keys.sign(algorithm, &others).expect("a SET"), first);
        keys.rotate(Some(algorithm), true).await.expect("rotated");
        assert_ne!(keys.sign(algorithm, &claims()).expect("a SET"), first);
    }
}
