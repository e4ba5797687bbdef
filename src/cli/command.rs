//! `footfall command keygen|sign`: the operator's side of signed commands. Runs anywhere; touches no box.

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use ring::rand::{SecureRandom, SystemRandom};
use serde_json::{Map, Value};

use super::exit::{self, Failure};
use crate::clock::{Clock, SystemClock};
use crate::command::desired;
use crate::command::envelope::{self, Claims};
use crate::command::id::CommandId;
use crate::command::judge::LONGEST_LIFE_S;
use crate::command::key::{self, PrivateKey};

const EXAMPLE: &str = "\
How it goes together:
  footfall command keygen --out . --kid ops        # once: ops.key stays here, ops.pub goes onto the boxes
  [command]                                        # in each box's config
  keys = [\"/etc/footfall/keys/ops.pub\"]

  BASE=footfall/v1/TENANT/STORE/BOX                # then, for each command:
  mosquitto_sub -V mqttv5 -t \"$BASE/response/#\" &
  mosquitto_pub -V mqttv5 -q 1 -t \"$BASE/command\" -m \"$(footfall command sign --key ops.key --box BOX --name ping)\"

  footfall command sign … --name outbox.resend --args '{\"stream\":\"count\",\"first\":1000,\"last\":1999}'
  footfall command sign … --name diagnostics.collect          # parts come to $BASE/diagnostics/ID/0, 1, …
  mosquitto_pub -V mqttv5 -q 1 -r -t \"$BASE/config/desired\" -m \"$(footfall command sign … --name config.desired \\
    --expires 90d --args '{\"camera\":{\"entrance\":{\"fps\":5}}}')\"   # retained: what the config shall be

Commands: ping, status, log.level, config.patch, config.rollback, occupancy.set, outbox.resend, diagnostics.collect,\nservice.restart, device.reboot; docs/reference/commands.md says what each takes and answers.";

/// Arguments of `footfall command`.
#[derive(Debug, Parser)]
#[command(after_help = EXAMPLE)]
pub struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Make a key pair: KID.key signs (keep it secret), KID.pub goes onto the boxes
    Keygen {
        /// Existing directory for both files; nothing in it is replaced
        #[arg(long, value_name = "DIR")]
        out: PathBuf,
        /// Name of the key: 1 to 64 of A-Z a-z 0-9 . _ - [default: the key's thumbprint]
        #[arg(long, value_name = "NAME", value_parser = kid)]
        kid: Option<String>,
    },
    /// Sign one command and print it, ready to be published to the box's command topic
    #[command(after_help = EXAMPLE)]
    Sign(Sign),
}

#[derive(Debug, clap::Args)]
struct Sign {
    /// The private key, KID.key
    #[arg(long, value_name = "FILE")]
    key: PathBuf,
    /// The box it is for: its id, or TENANT/STORE/BOX where ids repeat from shop to shop
    #[arg(long = "box", value_name = "ID")]
    addressee: String,
    /// Which command
    #[arg(long, value_name = "NAME")]
    name: String,
    /// What the command takes, as one JSON object
    #[arg(long, value_name = "JSON", default_value = "{}", value_parser = object)]
    args: Arguments,
    /// How long the box may begin it: a number and s, m, h or d; 7d at most, 366d for config.desired
    #[arg(long, value_name = "TIME", default_value = "10m", value_parser = seconds)]
    expires: i64,
    /// Its id, a UUID; the same id again fetches the stored answer [default: a random one]
    #[arg(long, value_name = "UUID", value_parser = |text: &str| CommandId::parse(&text.to_lowercase()))]
    id: Option<CommandId>,
    /// Its place in the order of commands [default: the time in milliseconds]
    #[arg(long, value_name = "N")]
    seq: Option<u64>,
}

#[derive(Clone, Debug)]
struct Arguments(Map<String, Value>);

fn object(text: &str) -> Result<Arguments, String> {
    serde_json::from_str(text)
        .map(Arguments)
        .map_err(|why| format!("expected one JSON object, such as {{\"level\":\"debug\"}}: {why}"))
}

fn kid(text: &str) -> Result<String, &'static str> {
    let fits = key::is_kid(text);
    fits.then(|| text.to_owned())
        .ok_or("expected 1 to 64 of A-Z a-z 0-9 . _ -, not beginning with a dot")
}

fn seconds(text: &str) -> Result<i64, String> {
    let unit = |last| match last {
        's' => Some(1),
        'm' => Some(60),
        'h' => Some(3600),
        'd' => Some(86_400),
        _ => None,
    };
    let parsed = text.char_indices().last().and_then(|(at, last)| {
        let number: i64 = text.get(..at)?.parse().ok()?;
        number.checked_mul(unit(last)?)
    });
    parsed
        .filter(|seconds| (1..=desired::LONGEST_LIFE_S).contains(seconds))
        .ok_or_else(|| "expected a time such as 30s, 10m, 2h or 1d".to_owned())
}

pub fn run(args: &Args) -> anyhow::Result<ExitCode> {
    match &args.action {
        Action::Keygen { out, kid } => {
            let (private, public) = PrivateKey::generate(kid.as_deref())?.save(out)?;
            writeln!(
                std::io::stdout(),
                "{}  signs commands: keep it secret\n{}  goes onto the boxes: name it in command.keys",
                private.display(),
                public.display()
            )?;
        }
        Action::Sign(sign) => {
            let (id, envelope) = signed(sign)?;
            let topic = match sign.name == desired::NAME {
                true => "config/reported".to_owned(),
                false => format!("response/{id}"),
            };
            writeln!(std::io::stderr(), "the answer comes to …/{topic}")?;
            writeln!(std::io::stdout(), "{envelope}")?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn signed(sign: &Sign) -> anyhow::Result<(CommandId, String)> {
    if sign.name != desired::NAME && sign.expires > LONGEST_LIFE_S {
        let message = "--expires: 7d at most; only config.desired may stand for longer";
        return Err(Failure::new(exit::USAGE, message).into());
    }
    let key = PrivateKey::load(&sign.key)?;
    let now = SystemClock::new(true).now().wall;
    let id = match &sign.id {
        Some(id) => id.clone(),
        None => {
            let mut random = [0; 16];
            SystemRandom::new()
                .fill(&mut random)
                .map_err(|_| key::KeyError::Random)?;
            CommandId::from_random(random)
        }
    };
    let claims = Claims {
        id: id.clone(),
        addressee: sign.addressee.clone(),
        name: sign.name.clone(),
        args: sign.args.0.clone(),
        iat: now.as_second(),
        exp: now.as_second() + sign.expires,
        seq: sign
            .seq
            .unwrap_or_else(|| u64::try_from(now.as_millisecond()).unwrap_or(0)),
    };
    let envelope = envelope::seal(&key, &claims);
    // The box's own check: what it would refuse is not worth publishing.
    let keys = [key.public().clone()].into_iter().collect();
    envelope::open(envelope.as_bytes(), &keys).map_err(|refused| {
        let message = format!("no box would take this command: {}", refused.fault);
        Failure::new(exit::USAGE, message)
    })?;
    Ok((id, envelope))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_with_their_unit_up_to_a_year() {
        let all = ["30s", "10m", "2h", "7d", "366d"].map(|text| seconds(text).unwrap());
        assert_eq!(all, [30, 600, 7200, 604_800, 31_622_400]);
        for bad in [
            "",
            "10",
            "m",
            "0s",
            "-1m",
            "367d",
            "1.5h",
            "10 m",
            "99999999999999999d",
        ] {
            assert!(seconds(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn what_is_signed_here_opens_on_a_box_that_trusts_the_key() {
        let dir = tempfile::tempdir().unwrap();
        let key = PrivateKey::generate(Some("ops")).unwrap();
        let (private, public) = key.save(dir.path()).unwrap();
        let words = ["command", "sign", "--key"].map(std::ffi::OsString::from);
        let more = [
            "--box",
            "b",
            "--name",
            "log.level",
            "--args",
            r#"{"level":"debug"}"#,
        ];
        let line = words
            .into_iter()
            .chain([private.into_os_string()])
            .chain(more.map(Into::into));
        let Action::Sign(sign) = Args::try_parse_from(line).unwrap().action else {
            panic!("sign")
        };
        let (id, envelope) = signed(&sign).unwrap();
        let keys = key::Keys::load(&[public]).unwrap();
        let claims = envelope::open(envelope.as_bytes(), &keys).unwrap().claims;
        assert_eq!((claims.id, claims.exp - claims.iat), (id, 600));
        assert_eq!(claims.args["level"], "debug");
        let nobody = Sign {
            addressee: "no box".into(),
            ..sign
        };
        let error = signed(&nobody).unwrap_err();
        assert_eq!(exit::code(&error), ExitCode::from(exit::USAGE));
    }
}
