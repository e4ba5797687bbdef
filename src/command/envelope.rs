//! A command's envelope: JWS compact serialisation (RFC 7515) with EdDSA over Ed25519 (RFC 8037) and nothing else.
//! Pure: bytes and keys in, a command or a refusal out.
//!
//! Nothing in an envelope is believed before its signature holds; what is read earlier (the id) only says where an
//! answer would go.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::de::{Error as _, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value, json};

use super::id::CommandId;
use super::key::{Keys, LONGEST_KID, PrivateKey};

/// Longest envelope, bytes.
pub const LONGEST: usize = 64 * 1024;
/// Longest header, bytes of base64url.
const LONGEST_HEADER: usize = 1024;
/// Longest name and longest addressee, bytes.
const LONGEST_NAME: usize = 64;
const LONGEST_BOX: usize = 200;

/// What a signed command says.
#[derive(Clone, Debug, PartialEq)]
pub struct Claims {
    pub id: CommandId,
    /// The box it is for: `box`, or `tenant/store/box`.
    pub addressee: String,
    /// Which command, such as `log.level`.
    pub name: String,
    pub args: Map<String, Value>,
    /// When it was signed, seconds since 1970.
    pub iat: i64,
    /// From when on it must not be begun any more, seconds since 1970; after `iat`.
    pub exp: i64,
    /// Grows from command to command; only commands whose order matters look at it.
    pub seq: u64,
}

/// A command whose signature holds.
#[derive(Clone, Debug, PartialEq)]
pub struct Signed {
    /// The key that signed it.
    pub kid: String,
    pub claims: Claims,
}

/// What is wrong with an envelope.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EnvelopeFault {
    #[error("larger than 64 KiB")]
    TooLarge,
    #[error("not a JWS in compact form: {0}")]
    Malformed(&'static str),
    #[error("the header's alg is not EdDSA, the only algorithm this box knows")]
    Algorithm,
    #[error("the header has crit, and this box knows no critical extension")]
    Critical,
    #[error("signed with a key this box does not trust (command.keys)")]
    UnknownKey,
    #[error("the signature does not hold")]
    Signature,
    #[error("the signed claims are wrong: {0}")]
    Claims(&'static str),
}

impl EnvelopeFault {
    /// The error code in an answer.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::TooLarge => "too_large",
            Self::Malformed(_) => "malformed",
            Self::Algorithm | Self::Critical => "algorithm",
            Self::UnknownKey => "unknown_key",
            Self::Signature => "signature",
            Self::Claims(_) => "claims",
        }
    }
}

/// An envelope that is not obeyed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    pub fault: EnvelopeFault,
    /// The id it claims, where one can be read. Not to be believed.
    pub id: Option<CommandId>,
}

/// Puts claims into an envelope.
#[must_use]
pub fn seal(key: &PrivateKey, claims: &Claims) -> String {
    let header = json!({"alg": "EdDSA", "kid": key.public().kid});
    let payload = json!({
        "id": claims.id,
        "box": claims.addressee,
        "name": claims.name,
        "args": claims.args,
        "iat": claims.iat,
        "exp": claims.exp,
        "seq": claims.seq,
    });
    let [header, payload] = [header, payload].map(|part| URL_SAFE_NO_PAD.encode(part.to_string()));
    let mut text = format!("{header}.{payload}");
    let signature = URL_SAFE_NO_PAD.encode(key.sign(text.as_bytes()));
    text.push('.');
    text.push_str(&signature);
    text
}

/// Takes a command out of its envelope, if one of `keys` signed it.
///
/// # Errors
/// [`Refused`]
pub fn open(envelope: &[u8], keys: &Keys) -> Result<Signed, Refused> {
    let nameless = |fault| Refused { fault, id: None };
    if envelope.len() > LONGEST {
        return Err(nameless(EnvelopeFault::TooLarge));
    }
    let text = str::from_utf8(envelope)
        .map_err(|_| nameless(EnvelopeFault::Malformed("not even text")))?;
    let parts: Vec<&str> = text.splitn(4, '.').collect();
    let &[header, payload, signature] = parts.as_slice() else {
        let why = "expected three parts with dots between them";
        return Err(nameless(EnvelopeFault::Malformed(why)));
    };
    let payload = members(payload, "the payload");
    let id = payload.as_ref().ok().and_then(|claims| {
        let id = claims.0.get("id")?.as_str()?;
        CommandId::parse(id).ok()
    });
    let refused = |fault| Refused {
        fault,
        id: id.clone(),
    };
    let kid = key_of(header).map_err(refused)?;
    let signature = decoded(signature)
        .ok_or_else(|| refused(EnvelopeFault::Malformed("the signature is no base64url")))?;
    let key = keys
        .find(&kid)
        .ok_or_else(|| refused(EnvelopeFault::UnknownKey))?;
    let signed = text.rsplit_once('.').map_or("", |(signed, _)| signed);
    if !key.verifies(signed.as_bytes(), &signature) {
        return Err(refused(EnvelopeFault::Signature));
    }
    let claims = payload
        .and_then(|members| claims(members.0))
        .map_err(refused)?;
    Ok(Signed { kid, claims })
}

/// The `kid` of a header that asks for nothing this box does not do. Unknown members are ignored (RFC 7515, section 4).
fn key_of(header: &str) -> Result<String, EnvelopeFault> {
    if header.len() > LONGEST_HEADER {
        return Err(EnvelopeFault::Malformed("the header is too long"));
    }
    let Members(header) = members(header, "the header")?;
    if header.get("alg").and_then(Value::as_str) != Some("EdDSA") {
        return Err(EnvelopeFault::Algorithm);
    }
    if header.contains_key("crit") {
        return Err(EnvelopeFault::Critical);
    }
    match header.get("kid").and_then(Value::as_str) {
        Some(kid) if kid.len() <= LONGEST_KID => Ok(kid.to_owned()),
        _ => Err(EnvelopeFault::Malformed("the header has no kid")),
    }
}

fn claims(mut members: Map<String, Value>) -> Result<Claims, EnvelopeFault> {
    let fault = EnvelopeFault::Claims;
    let known = ["id", "box", "name", "args", "iat", "exp", "seq"];
    if members.keys().any(|name| !known.contains(&name.as_str())) {
        return Err(fault("a member besides id, box, name, args, iat, exp, seq"));
    }
    let text = |name: &str, longest: usize, more: &[u8]| {
        let fine = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
        let text = members.get(name)?.as_str()?;
        let fits = (1..=longest).contains(&text.len());
        let clean = text.bytes().all(|byte| fine(byte) || more.contains(&byte));
        (fits && clean).then(|| text.to_owned())
    };
    let addressee =
        text("box", LONGEST_BOX, b"/").ok_or_else(|| fault("box is missing or no box's name"))?;
    let name = text("name", LONGEST_NAME, b"")
        .ok_or_else(|| fault("name is missing or no command's name"))?;
    let id = members
        .get("id")
        .and_then(|id| CommandId::parse(id.as_str()?).ok())
        .ok_or_else(|| fault("id is missing or no lower-case UUID"))?;
    let seconds = |name: &str| {
        members
            .get(name)?
            .as_i64()
            .filter(|seconds| (0..=MOST_SECONDS).contains(seconds))
    };
    let iat = seconds("iat").ok_or_else(|| fault("iat is missing or no whole seconds"))?;
    let exp = seconds("exp").ok_or_else(|| fault("exp is missing or no whole seconds"))?;
    if exp <= iat {
        return Err(fault("exp is not after iat"));
    }
    let seq = members
        .get("seq")
        .and_then(Value::as_u64)
        .ok_or_else(|| fault("seq is missing or no whole number"))?;
    let args = match members.remove("args") {
        None => Map::new(),
        Some(Value::Object(args)) => args,
        Some(_) => return Err(fault("args is no object")),
    };
    Ok(Claims {
        id,
        addressee,
        name,
        args,
        iat,
        exp,
        seq,
    })
}

/// The year 9999: what any calendar library can show.
const MOST_SECONDS: i64 = 253_402_300_799;

fn members(part: &str, what: &'static str) -> Result<Members, EnvelopeFault> {
    let in_header = what == "the header";
    let bytes = decoded(part).ok_or(EnvelopeFault::Malformed(if in_header {
        "the header is no base64url without padding"
    } else {
        "the payload is no base64url without padding"
    }))?;
    serde_json::from_slice(&bytes).map_err(|_| {
        EnvelopeFault::Malformed(if in_header {
            "the header is no JSON object, or has a member twice"
        } else {
            "the payload is no JSON object, or has a member twice"
        })
    })
}

fn decoded(part: &str) -> Option<Vec<u8>> {
    URL_SAFE_NO_PAD.decode(part).ok()
}

/// A JSON object in which no member appears twice, at any depth: two readers of one signed text must not see two commands.
#[derive(Debug)]
struct Members(Map<String, Value>);

impl<'de> Deserialize<'de> for Members {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match Strict::deserialize(deserializer)? {
            Strict(Value::Object(members)) => Ok(Self(members)),
            _ => Err(D::Error::custom("no object")),
        }
    }
}

/// A JSON value without objects that have a member twice.
struct Strict(Value);

impl<'de> Deserialize<'de> for Strict {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(AnyValue).map(Strict)
    }
}

struct AnyValue;

impl<'de> Visitor<'de> for AnyValue {
    type Value = Value;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("JSON without a member that appears twice")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Value, A::Error> {
        let mut members = Map::new();
        while let Some((name, Strict(value))) = access.next_entry::<String, Strict>()? {
            if members.insert(name, value).is_some() {
                return Err(A::Error::custom("a member appears twice"));
            }
        }
        Ok(Value::Object(members))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<Value, A::Error> {
        let mut values = Vec::new();
        while let Some(Strict(value)) = access.next_element()? {
            values.push(value);
        }
        Ok(Value::Array(values))
    }

    fn visit_str<E>(self, text: &str) -> Result<Value, E> {
        Ok(text.into())
    }

    fn visit_bool<E>(self, truth: bool) -> Result<Value, E> {
        Ok(truth.into())
    }

    fn visit_u64<E>(self, number: u64) -> Result<Value, E> {
        Ok(number.into())
    }

    fn visit_i64<E>(self, number: i64) -> Result<Value, E> {
        Ok(number.into())
    }

    fn visit_f64<E>(self, number: f64) -> Result<Value, E> {
        Ok(number.into())
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }
}

#[cfg(test)]
mod tests;
