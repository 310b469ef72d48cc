//! A signer of SETs, and the receiver as a process.

use super::support::client::{Answer, Client};
use super::support::wait::{PATIENCE, until};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair};
use jsonwebtoken::jwk::Jwk;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde_json::{Value, json};
use std::io::{BufRead as _, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::{Arc, Mutex};

/// The `iss` of every SET.
pub const ISSUER: &str = "https://issuer.example.com";
/// The `aud` of every SET.
pub const AUDIENCE: &str = "https://receiver.example.com";

/// Makes SETs, with a key of its own.
pub struct Signer {
    key: EncodingKey,
    kid: String,
}

impl Signer {
    /// A signer with a fresh key of this name.
    pub fn new(kid: &str) -> Self {
        let pair = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &SystemRandom::new()).expect("a key");
        Self { key: EncodingKey::from_ec_der(pair.as_ref()), kid: kid.into() }
    }

    /// Its public key.
    pub fn jwk(&self) -> Value {
        let mut jwk = serde_json::to_value(Jwk::from_encoding_key(&self.key, Algorithm::ES256).expect("a JWK")).expect("JSON");
        jwk["kid"] = self.kid.as_str().into();
        jwk
    }

    /// A document with its public key alone.
    pub fn jwks(&self) -> Value {
        json!({"keys": [self.jwk()]})
    }

    /// A good SET.
    pub fn set(&self, jti: &str) -> String {
        self.sign(&claims(jti), Some("secevent+jwt"))
    }

    /// A SET of these claims.
    pub fn sign(&self, claims: &Value, typ: Option<&str>) -> String {
        let header = Header { typ: typ.map(str::to_owned), kid: Some(self.kid.clone()), ..Header::new(Algorithm::ES256) };
        jsonwebtoken::encode(&header, claims, &self.key).expect("signed")
    }
}

/// Good claims.
pub fn claims(jti: &str) -> Value {
    json!({"iss": ISSUER, "aud": [AUDIENCE], "iat": 1_458_505_044, "jti": jti, "txn": format!("t{jti}"),
           "sub_id": {"format": "scim", "uri": "/Users/1"}, "events": {"urn:ietf:params:scim:event:prov:delete": {}}})
}

/// Good claims with one changed.
pub fn claims_with(jti: &str, name: &str, value: Value) -> Value {
    let mut claims = claims(jti);
    claims[name] = value;
    claims
}

/// A folder with the public key of a signer, and what a receiver writes.
pub struct World {
    folder: tempfile::TempDir,
    pub signer: Signer,
}

impl World {
    pub fn new() -> Self {
        let (folder, signer) = (tempfile::tempdir().expect("a folder"), Signer::new("first"));
        std::fs::write(folder.path().join("jwks.json"), signer.jwks().to_string()).expect("written");
        Self { folder, signer }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub fn write(&self, name: &str, text: &str) {
        std::fs::write(self.path(name), text).expect("written");
    }

    /// Lines that it wrote to the output.
    pub fn lines(&self) -> Vec<Value> {
        let text = std::fs::read_to_string(self.path("out.jsonl")).unwrap_or_default();
        text.split_terminator('\n').map(|line| serde_json::from_str(line).expect("a line of JSON")).collect()
    }

    /// The `jti`s of those.
    pub fn jtis(&self) -> Vec<String> {
        self.lines().iter().map(|line| line["jti"].as_str().expect("a jti").to_owned()).collect()
    }

    /// A receiver of this issuer, with the keys in the file, that writes to the output, and these flags.
    pub fn receive(&self, flags: &[&str]) -> Receiver {
        self.with_flags(&[&["--jwks", "jwks.json", "--output", "out.jsonl"], flags].concat())
    }

    /// A receiver that listens.
    pub fn listen(&self, flags: &[&str]) -> Receiver {
        self.receive(&[&["--listen", "127.0.0.1:0"], flags].concat())
    }

    /// A receiver of this issuer and these flags.
    pub fn with_flags(&self, flags: &[&str]) -> Receiver {
        self.bare(&[&["--issuer", ISSUER, "--audience", AUDIENCE], flags].concat())
    }

    /// A receiver of these flags alone.
    pub fn bare(&self, flags: &[&str]) -> Receiver {
        Receiver::start(self.folder.path(), flags)
    }

    /// Runs it where it is expected to end by itself.
    pub fn run_to_its_end(&self, flags: &[&str]) -> Output {
        command(self.folder.path(), flags).output().expect("the program runs")
    }
}

fn command(folder: &Path, flags: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_carillon"));
    command.arg("receive").args(flags).current_dir(folder);
    command.env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_default()).env("RUST_BACKTRACE", "1");
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// A running receiver. It is killed when this is dropped, and what it said is shown if the test failed.
pub struct Receiver {
    child: Child,
    said: Arc<Mutex<String>>,
    printed: Arc<Mutex<String>>,
}

impl Receiver {
    fn start(folder: &Path, flags: &[&str]) -> Self {
        let mut child = command(folder, flags).spawn().expect("the program starts");
        let (said, printed) = (Arc::default(), Arc::default());
        collect(child.stderr.take().expect("its errors"), Arc::clone(&said));
        collect(child.stdout.take().expect("its output"), Arc::clone(&printed));
        Self { child, said, printed }
    }

    /// What it said on the standard error.
    pub fn said(&self) -> String {
        self.said.lock().expect("what it said").clone()
    }

    /// What it printed on the standard output.
    pub fn printed(&self) -> String {
        self.printed.lock().expect("what it printed").clone()
    }

    /// Waits until it has said something; returns the line from there on.
    pub async fn says(&self, what: &str) -> String {
        let look = || {
            let said = self.said();
            let found = said.split_once(what).map(|(_, rest)| rest.lines().next().unwrap_or_default().to_owned());
            async move { found }
        };
        until(&format!("it says '{what}'"), PATIENCE, look).await
    }

    /// A client of its address.
    pub async fn client(&self) -> Client {
        Client::new(&self.says("listens on ").await, None)
    }

    pub fn kill(&mut self) {
        self.child.kill().expect("it can be killed");
        self.child.wait().expect("it has ended");
    }

    pub fn terminate(&self) {
        let status = Command::new("kill").args(["-TERM", &self.child.id().to_string()]).status().expect("kill runs");
        assert!(status.success(), "kill -TERM: {status}");
    }

    pub async fn ended(&mut self) -> ExitStatus {
        let child = Mutex::new(&mut self.child);
        until("the receiver ends", PATIENCE, || {
            let ended = child.lock().expect("the child").try_wait().expect("its state");
            async move { ended }
        })
        .await
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            eprintln!("the receiver said:\n{}\nand printed:\n{}", self.said(), self.printed());
        }
    }
}

fn collect(from: impl Read + Send + 'static, into: Arc<Mutex<String>>) {
    std::thread::spawn(move || {
        for line in BufReader::new(from).lines().map_while(Result::ok) {
            let mut into = into.lock().expect("the text");
            into.push_str(&line);
            into.push('\n');
        }
    });
}

/// Pushes a SET as RFC 8935 §2.1 says.
pub async fn push(client: &Client, set: &str) -> Answer {
    let request = client.on("POST", "").header("accept", "application/json").header("content-type", "application/secevent+jwt");
    request.body(set.to_owned()).send().await
}

/// Asserts that an answer is a refusal as RFC 8935 §2.3 says.
pub fn assert_refused(answer: &Answer, code: &str, description: &str) {
    assert_eq!((answer.status, answer.json()), (400, json!({"err": code, "description": description})));
    assert_eq!(answer.header("content-type"), Some("application/json"));
    assert_eq!(answer.header("content-language"), Some("en"));
}

/// Asserts that an answer acknowledges as RFC 8935 §2.2 says.
pub fn assert_accepted(answer: &Answer) {
    assert_eq!((answer.status, answer.text().as_str()), (202, ""));
}
