//! How it starts and ends.

use super::transmitter::Transmitter;
use super::world::World;

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// What it says to these flags, with which it does not start.
fn refusal(world: &World, flags: &[&str]) -> String {
    let output = world.run_to_its_end(flags);
    assert_eq!((output.status.code(), text(&output.stdout).as_str()), (Some(2), ""), "{flags:?}");
    text(&output.stderr)
}

#[test]
fn without_what_must_be_known_it_does_not_start_and_says_all_of_it() {
    let world = World::new();
    let said = refusal(&world, &["--listen", "nowhere.invalid:1"]);
    let expected = "carillon receive cannot start:\n  \
        --jwks or --secret-file: how SETs are signed must be known (or --unverified, for tries)\n  \
        --issuer: it must be known whose SETs are taken (or --unverified, for tries)\n  \
        --audience: it must be known who this receiver is (or --unverified, for tries)\n  \
        --listen nowhere.invalid:1: no address of this machine, such as 127.0.0.1:8935\n";
    assert_eq!(said, expected);
}

#[test]
fn flags_that_cannot_be_are_refused() {
    let world = World::new();
    world.write("short", "short");
    world.write("empty", "\n");
    let known = ["--issuer", "i", "--audience", "a"];
    let from = |flags: &[&str]| refusal(&world, &[&known, flags].concat());
    for (flags, words) in [
        (&["--listen", "127.0.0.1:0", "--secret-file", "short"][..], "--secret-file: the secret has 5 bytes, HS256 wants 32"),
        (&["--listen", "127.0.0.1:0", "--secret-file", "empty"], "--secret-file empty: the file is empty"),
        (&["--listen", "127.0.0.1:0", "--jwks", "short"], "--jwks short: not JSON"),
        (&["--listen", "127.0.0.1:0", "--jwks", "none.json"], "--jwks none.json: No such file"),
        (&["--listen", "127.0.0.1:0", "--jwks", "jwks.json", "--alg", "HS256"], "--alg HS256: the keys are not for it"),
        (&["--poll", "http://a.example/", "--jwks", "jwks.json"], "http://a.example: use https, or say --insecure-http"),
        (&["--poll", "https://u:secret@a.example/", "--jwks", "jwks.json"], "an address holds no user and no password"),
        (&["--poll", "ftp://a.example/", "--jwks", "jwks.json"], "ftp: addresses are https"),
        (&["--listen", "127.0.0.1:0", "--jwks", "http://a.example/keys"], "http://a.example: use https"),
        (&["--poll", "https://a.example/", "--jwks", "jwks.json", "--ca-file", "short"], "--ca-file short: no PEM certificates"),
        (&["--listen", "127.0.0.1:0", "--jwks", "jwks.json", "--output", "."], "--output .: "),
        (&["--jwks", "jwks.json"], "--listen <ADDRESS[:PORT]>|--poll <URL>|--follow <URL>"),
        (&["--listen", "127.0.0.1:0", "--poll", "https://a.example/"], "cannot be used with"),
        (&["--listen", "127.0.0.1:0", "--unverified", "--fault", "drop=0"], "EVERY is a number from 1 on"),
        (&["--poll", "https://a.example/", "--unverified", "--fault", "drop"], "cannot be used with"),
    ] {
        let said = from(flags);
        assert!(said.contains(words), "{flags:?}: {said}");
        assert!(!said.contains("secret@"), "{said}");
    }
}

#[tokio::test]
async fn it_ends_when_nothing_comes() {
    let world = World::new();
    let silent = Transmitter::start(|_, _| None).await;
    let mut receiver = world.receive(&["--poll", &silent.url("/"), "--until-idle", "1", "--progress"]);
    assert!(receiver.ended().await.success());
    receiver.says("received 0 (0.0/s), duplicates 0, refused 0, not kept 0, lag 0.0 s").await;
}

#[tokio::test]
async fn an_address_in_use_is_said() {
    let world = World::new();
    let first = world.listen(&[]);
    let address = first.client().await.base.trim_start_matches("http://").to_owned();
    let output = world.run_to_its_end(&["--listen", &address, "--unverified"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(
        text(&output.stderr).contains(&format!("carillon receive ends: cannot listen on {address}: ")),
        "{}",
        text(&output.stderr)
    );
}
