//! How much of a torture test is run: a share in `make test`, all of it by `make torture`.

#![allow(dead_code)] // each test file uses its own part

/// Whether `make torture` asked for the full run (`FOOTFALL_TORTURE=full`).
pub fn full() -> bool {
    std::env::var_os("FOOTFALL_TORTURE").is_some_and(|value| value == "full")
}

/// `short` rounds in `make test`, `all` of them in `make torture`; says which, so a report cannot claim more.
pub fn rounds(short: usize, all: usize) -> usize {
    let rounds = if full() { all } else { short };
    eprintln!("{rounds} rounds (the full run has {all}: make torture)");
    rounds
}
