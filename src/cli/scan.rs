//! `footfall scan parse TEXT` and `footfall scan decode IMAGE...`: what footfall makes of a code.

use std::collections::BTreeMap;
use std::io::{self, Read, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;
use clap::Subcommand;
use serde::Serialize;

use super::exit::{self, Failure};
use crate::clock::{Clock, SystemClock};
use crate::event::CodeScanned;
use crate::sensor::scanner::code::{self, MOST_BYTES};
use crate::sensor::scanner::gs1::{self, Linter, link};
use crate::sensor::scanner::image::{self, PictureError};
use crate::sensor::scanner::rules::Rules;

#[derive(clap::Args)]
pub struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Subcommand)]
enum Action {
    /// What a scanner's text becomes: exactly what would be stored and sent, so personal data is left out
    #[command(after_help = PARSE_HELP)]
    Parse(Parse),
    /// The codes on pictures (EAN, UPC, Code 128, QR), shown as they are; payment codes are never shown
    Decode(Decode),
}

const PARSE_HELP: &str = "\
TEXT may begin with an AIM identifier (]C1, ]E0, ]Q3 ...). Write {GS} for the separator FNC1, or use brackets:
  footfall scan parse 9506000134352
  footfall scan parse '(01)09506000134352(10)AB-1(17)271231'
  footfall scan parse ']C1010950600013435210AB-1{GS}17271231'
  footfall scan parse 'https://id.gs1.org/01/09506000134352?17=271231'
  wl-paste | footfall scan parse - --json";

#[derive(clap::Args)]
struct Parse {
    /// The text, or - to read it from standard input (the command line of a process is seen by all)
    text: String,
    /// Print one JSON document
    #[arg(long)]
    json: bool,
}

#[derive(clap::Args)]
struct Decode {
    /// Pictures: PNG, JPEG, WebP or GIF
    #[arg(required = true, value_name = "IMAGE")]
    images: Vec<PathBuf>,
    /// Print one JSON document
    #[arg(long)]
    json: bool,
}

pub fn run(args: &Args) -> anyhow::Result<ExitCode> {
    match &args.action {
        Action::Parse(args) => parse(args),
        Action::Decode(args) => decode(args),
    }
}

/// What would be sent, and what can be worked out from it.
#[derive(Serialize)]
struct Parsed {
    #[serde(flatten)]
    code: CodeScanned,
    /// Elements that are dates, in full: `2027-12-31`.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    dates: BTreeMap<String, String>,
    /// The same elements as a GS1 Digital Link.
    #[serde(skip_serializing_if = "Option::is_none")]
    digital_link: Option<String>,
}

fn parse(args: &Parse) -> anyhow::Result<ExitCode> {
    let text = match args.text.as_str() {
        "-" => {
            let mut bytes = Vec::new();
            let most = MOST_BYTES as u64 + 1;
            io::stdin().take(most).read_to_end(&mut bytes)?;
            bytes
        }
        text => text.replace("{GS}", "\u{1d}").into_bytes(),
    };
    if text.len() > MOST_BYTES {
        let message = format!(
            "the text is longer than {MOST_BYTES} bytes; no scanner sends that, shorten it"
        );
        return Err(Failure::new(exit::DATA, message).into());
    }
    let code = code::read(&text, None, &Rules::default());
    let this_year = SystemClock::new(true)
        .now()
        .wall
        .to_zoned(jiff::tz::TimeZone::UTC)
        .year();
    let elements = || {
        code.elements
            .iter()
            .map(|(ai, value)| (ai.as_str(), value.as_str()))
    };
    let parsed = Parsed {
        dates: elements()
            .filter_map(|(ai, value)| Some((ai.to_owned(), date(ai, value, this_year)?)))
            .collect(),
        digital_link: link::build(link::CANONICAL, elements())
            .ok()
            .filter(|_| code.faults.is_empty()),
        code,
    };
    if args.json {
        super::print_json(&parsed)?;
    } else {
        show(&parsed, &mut io::stdout().lock())?;
    }
    Ok(ExitCode::SUCCESS)
}

/// The date an element begins with.
fn date(ai: &str, value: &str, this_year: i16) -> Option<String> {
    let first = gs1::find(ai)?.parts.first()?;
    let dated = |linter: &Linter| matches!(linter, Linter::Yymmd0 | Linter::Yymmdd);
    let date = first.linters.iter().any(dated).then(|| value.get(..6))??;
    gs1::full_date(date, this_year).map(|date| date.to_string())
}

fn show(parsed: &Parsed, out: &mut impl Write) -> io::Result<()> {
    let code = &parsed.code;
    let mut line = |name: &str, value: &str| writeln!(out, "{name:<12} {value}");
    line("kind", &code.kind)?;
    for (name, value) in [
        ("symbology", &code.symbology),
        ("text", &code.text),
        ("gtin", &code.gtin),
        ("link", &parsed.digital_link),
    ] {
        if let Some(value) = value {
            line(name, &value.replace('\u{1d}', "{GS}"))?;
        }
    }
    if let Some(right) = code.check_digit_ok {
        line("check digit", if right { "right" } else { "WRONG" })?;
    }
    for (ai, value) in &code.elements {
        let title = gs1::find(ai).map_or("", |entry| entry.title);
        let date = parsed
            .dates
            .get(ai)
            .map(|date| format!(" = {date}"))
            .unwrap_or_default();
        line(&format!("({ai})"), &format!("{value}{date}   {title}"))?;
    }
    for fault in &code.faults {
        line("fault", fault)?;
    }
    if code.redacted {
        line(
            "left out",
            "what could tell who somebody is; a [[scanner.rule]] can allow codes of your own",
        )?;
    }
    Ok(())
}

/// What is on one picture.
#[derive(Serialize)]
struct Picture {
    image: String,
    codes: Vec<Code>,
}

/// One code on a picture; a payment code has nothing but its kind.
#[derive(Serialize)]
struct Code {
    #[serde(skip_serializing_if = "Option::is_none")]
    text: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    symbology: Option<&'static str>,
    kind: String,
}

fn decode(args: &Decode) -> anyhow::Result<ExitCode> {
    let (mut pictures, mut failed) = (Vec::new(), None);
    for path in &args.images {
        match image::decode_file(path) {
            Ok(found) => pictures.push(Picture {
                image: path.display().to_string(),
                codes: found.into_iter().map(told).collect(),
            }),
            Err(error) => {
                writeln!(io::stderr(), "footfall: {error}")?;
                failed.get_or_insert(match error {
                    PictureError::Unavailable { .. } => exit::UNAVAILABLE,
                    PictureError::NoPicture { .. } => exit::DATA,
                });
            }
        }
    }
    if args.json {
        super::print_json(&pictures)?;
    } else {
        let mut out = io::stdout().lock();
        for picture in &pictures {
            for code in &picture.codes {
                let symbology = code.symbology.unwrap_or("-");
                let text = code.text.as_deref().unwrap_or("(not shown)");
                writeln!(out, "{}: {symbology} {} {text}", picture.image, code.kind)
                    .context("standard output")?;
            }
            if picture.codes.is_empty() {
                writeln!(out, "{}: no code found", picture.image).context("standard output")?;
            }
        }
    }
    Ok(failed.map_or(ExitCode::SUCCESS, ExitCode::from))
}

fn told(found: image::Found) -> Code {
    let kind = code::read(
        found.text.as_bytes(),
        Some(found.symbology),
        &Rules::default(),
    )
    .kind;
    let secret = kind == code::PAYMENT_CODE;
    Code {
        text: (!secret).then_some(found.text),
        symbology: (!secret).then(|| found.symbology.name()),
        kind,
    }
}
