//! Faults that a listening receiver shows on purpose. They are for tests of transmitters.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

/// What goes wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// The answer comes late; what came is kept before.
    Delay(Duration),
    /// This status, and nothing is kept.
    Status(u16),
    /// A refusal with this code, and nothing is kept.
    Refuse(String),
    /// No answer, though what came is kept.
    Drop,
    /// An answer that breaks off, though what came is kept.
    Reset,
}

/// A fault of every so manieth request.
#[derive(Debug)]
pub(super) struct Recurring {
    fault: Fault,
    every: u64,
    requests: AtomicU64,
}

impl Clone for Recurring {
    fn clone(&self) -> Self {
        Self { fault: self.fault.clone(), every: self.every, requests: AtomicU64::new(0) }
    }
}

impl std::str::FromStr for Recurring {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (name, rest) = text.split_once('=').map_or((text, None), |(name, rest)| (name, Some(rest)));
        let takes_value = matches!(name, "delay" | "status" | "err");
        let (value, every) = match (takes_value, rest) {
            (true, Some(rest)) => rest.split_once(':').map_or((rest, None), |(value, every)| (value, Some(every))),
            (true, None) => return Err(format!("{name} wants a value: {name}=…")),
            (false, every) => ("", every),
        };
        let every = every.map_or(Ok(1), str::parse).ok().filter(|every| *every > 0);
        let every = every.ok_or("EVERY is a number from 1 on")?;
        let fault = match name {
            "delay" => Fault::Delay(Duration::from_millis(value.parse().map_err(|_| "delay=MS wants milliseconds")?)),
            "status" => {
                let status = value.parse().ok().filter(|status| (200..600).contains(status));
                Fault::Status(status.ok_or("status=CODE wants a status from 200 to 599")?)
            }
            "err" if !value.is_empty() => Fault::Refuse(value.to_owned()),
            "drop" => Fault::Drop,
            "reset" => Fault::Reset,
            _ => {
                return Err(
                    "a fault is delay=MS, status=CODE, err=CODE (each with :EVERY), drop or reset (each with =EVERY)".into()
                );
            }
        };
        Ok(Self { fault, every, requests: AtomicU64::new(0) })
    }
}

/// The faults of the next request, of which each counts for itself.
pub(super) fn next(faults: &[Recurring]) -> Vec<&Fault> {
    let strikes = |fault: &&Recurring| (fault.requests.fetch_add(1, Relaxed) + 1).is_multiple_of(fault.every);
    faults.iter().filter(strikes).map(|fault| &fault.fault).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<(Fault, u64), String> {
        text.parse().map(|fault: Recurring| (fault.fault, fault.every))
    }

    #[test]
    fn faults_are_read() {
        assert_eq!(parse("delay=250"), Ok((Fault::Delay(Duration::from_millis(250)), 1)));
        assert_eq!(parse("status=503:3"), Ok((Fault::Status(503), 3)));
        assert_eq!(parse("err=invalid_key:2"), Ok((Fault::Refuse("invalid_key".into()), 2)));
        assert_eq!(parse("drop"), Ok((Fault::Drop, 1)));
        assert_eq!(parse("reset=4"), Ok((Fault::Reset, 4)));
        for text in ["", "delay", "delay=x", "status=99", "status=600", "status=503:0", "err=", "drop=0", "drop=x", "other"] {
            assert!(parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn each_fault_counts_for_itself() {
        let faults: Vec<Recurring> = ["status=503:2", "drop=3"].iter().map(|text| text.parse().expect("a fault")).collect();
        let rounds: Vec<Vec<&Fault>> = (0..6).map(|_| next(&faults)).collect();
        let (status, silent) = (&Fault::Status(503), &Fault::Drop);
        assert_eq!(rounds, [vec![], vec![status], vec![silent], vec![status], vec![], vec![status, silent]]);
    }
}
