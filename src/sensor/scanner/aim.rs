//! AIM symbology identifiers (ISO/IEC 15424): the `]cm` a scanner may put before what it read.

use std::fmt;

/// The kind of bar code, as far as scanners and decoders tell them apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Symbology {
    Ean8,
    Ean13,
    UpcA,
    UpcE,
    Code39,
    Code93,
    Code128,
    /// Code 128 with GS1 element strings.
    Gs1_128,
    Itf,
    Codabar,
    /// GS1 DataBar, all variants, and GS1 Composite.
    DataBar,
    QrCode,
    Gs1QrCode,
    DataMatrix,
    Gs1DataMatrix,
    DotCode,
    Gs1DotCode,
    Pdf417,
    Aztec,
    MaxiCode,
    HanXin,
    /// One that has an identifier and no name here.
    Other,
}

impl Symbology {
    /// The name in events and JSON.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ean8 => "EAN8",
            Self::Ean13 => "EAN13",
            Self::UpcA => "UPCA",
            Self::UpcE => "UPCE",
            Self::Code39 => "Code39",
            Self::Code93 => "Code93",
            Self::Code128 => "Code128",
            Self::Gs1_128 => "GS1-128",
            Self::Itf => "ITF",
            Self::Codabar => "Codabar",
            Self::DataBar => "DataBar",
            Self::QrCode => "QRCode",
            Self::Gs1QrCode => "GS1QRCode",
            Self::DataMatrix => "DataMatrix",
            Self::Gs1DataMatrix => "GS1DataMatrix",
            Self::DotCode => "DotCode",
            Self::Gs1DotCode => "GS1DotCode",
            Self::Pdf417 => "PDF417",
            Self::Aztec => "Aztec",
            Self::MaxiCode => "MaxiCode",
            Self::HanXin => "HanXin",
            Self::Other => "other",
        }
    }

    /// Whether codes of this kind hold GS1 element strings and nothing else.
    #[must_use]
    pub const fn is_gs1(self) -> bool {
        matches!(
            self,
            Self::Gs1_128
                | Self::DataBar
                | Self::Gs1QrCode
                | Self::Gs1DataMatrix
                | Self::Gs1DotCode
        )
    }

    /// Whether codes of this kind hold a GTIN-8, -12 or -13.
    #[must_use]
    pub const fn is_retail(self) -> bool {
        matches!(self, Self::Ean8 | Self::Ean13 | Self::UpcA | Self::UpcE)
    }
}

impl fmt::Display for Symbology {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Takes the identifier off: the symbology it names, and the rest. Without one the payload is returned whole.
///
/// An identifier is `]`, a letter and a modifier (a digit or a letter). One that is not known is taken off too and is
/// [`Symbology::Other`].
#[must_use]
pub fn strip(payload: &str) -> (Option<Symbology>, &str) {
    match payload.as_bytes() {
        [b']', letter, modifier, ..]
            if letter.is_ascii_alphabetic() && modifier.is_ascii_alphanumeric() =>
        {
            let rest = payload.get(3..).unwrap_or_default();
            (Some(named(*letter, *modifier)), rest)
        }
        _ => (None, payload),
    }
}

fn named(letter: u8, modifier: u8) -> Symbology {
    match (letter, modifier) {
        (b'C', b'1') => Symbology::Gs1_128,
        (b'C', _) => Symbology::Code128,
        (b'e', _) => Symbology::DataBar,
        (b'd', b'2') => Symbology::Gs1DataMatrix,
        (b'd', _) => Symbology::DataMatrix,
        (b'Q', b'3') => Symbology::Gs1QrCode,
        (b'Q', _) => Symbology::QrCode,
        (b'J', b'1') => Symbology::Gs1DotCode,
        (b'J', _) => Symbology::DotCode,
        (b'E', b'4') => Symbology::Ean8,
        (b'E', b'0' | b'3') => Symbology::Ean13,
        (b'A', _) => Symbology::Code39,
        (b'G', _) => Symbology::Code93,
        (b'I', _) => Symbology::Itf,
        (b'F', _) => Symbology::Codabar,
        (b'L', _) => Symbology::Pdf417,
        (b'z', _) => Symbology::Aztec,
        (b'U', _) => Symbology::MaxiCode,
        (b'h', _) => Symbology::HanXin,
        _ => Symbology::Other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn identifiers_of_gs1_and_of_retail_codes_are_known() {
        for id in ["]C1", "]e0", "]d2", "]Q3", "]J1"] {
            let payload = format!("{id}0109506000134352");
            let (symbology, rest) = strip(&payload);
            assert!(symbology.is_some_and(Symbology::is_gs1), "{id}");
            assert_eq!(rest, "0109506000134352");
        }
        for id in ["]E0", "]E3", "]E4"] {
            assert!(strip(id).0.is_some_and(Symbology::is_retail), "{id}");
        }
        for id in ["]C0", "]d1", "]Q1", "]J0", "]A0"] {
            let known = strip(id).0.unwrap();
            assert!(
                !known.is_gs1() && !known.is_retail() && known != Symbology::Other,
                "{id}"
            );
        }
    }

    #[test]
    fn an_unknown_identifier_is_taken_off_and_no_identifier_is_no_error() {
        assert_eq!(strip("]Y9abc"), (Some(Symbology::Other), "abc"));
        for none in ["", "]", "]Q", "]1Q", "]é1", "abc", "[]C1"] {
            assert_eq!(strip(none), (None, none));
        }
    }
}
