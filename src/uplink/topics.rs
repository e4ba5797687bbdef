//! The names of the box's topics, all below one base.

use crate::event::{Identity, Stream};

/// Longest name of a tenant, a store or a box, bytes.
const LONGEST_LEVEL: usize = 64;
/// Longest response topic that is honoured, bytes.
const LONGEST_RESPONSE: usize = 512;

/// Why a topic cannot be built.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "device.{key} is {value:?}, which cannot be a level of an MQTT topic: use 1 to 64 characters of A-Z a-z 0-9 . _ -"
)]
pub struct TopicError {
    /// The key below `[device]`.
    pub key: &'static str,
    pub value: String,
}

/// The topics of one box: `footfall/v1/{tenant}/{store}/{box}/...`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Topics {
    base: String,
}

impl Topics {
    /// # Errors
    /// [`TopicError`] when a name holds anything that would change the topic's shape (`/`, `+`, `#`, blanks).
    pub fn new(identity: &Identity) -> Result<Self, TopicError> {
        let levels = [
            ("tenant", &identity.tenant),
            ("store", &identity.store),
            ("box", &identity.box_id),
        ];
        for (key, value) in levels {
            if !is_level(value) {
                return Err(TopicError {
                    key,
                    value: value.clone(),
                });
            }
        }
        Ok(Self {
            base: format!(
                "footfall/v1/{}/{}/{}",
                identity.tenant, identity.store, identity.box_id
            ),
        })
    }

    /// `{base}`, without a slash at its end.
    #[must_use]
    pub fn base(&self) -> &str {
        &self.base
    }

    /// `{base}/state`: retained; whether the box is online.
    #[must_use]
    pub fn state(&self) -> String {
        format!("{}/state", self.base)
    }

    /// `{base}/command`: where signed commands come in.
    #[must_use]
    pub fn command(&self) -> String {
        format!("{}/command", self.base)
    }

    /// `{base}/response/{id}`: the answer to one command.
    #[must_use]
    pub fn response(&self, id: &str) -> String {
        format!("{}/response/{id}", self.base)
    }

    /// Whether an answer may go to `topic`: below `{base}/response/` and without wildcards, so that nobody makes this
    /// box write anywhere else.
    #[must_use]
    pub fn is_response(&self, topic: &str) -> bool {
        let prefix = format!("{}/response/", self.base);
        topic.len() <= LONGEST_RESPONSE
            && topic.strip_prefix(&prefix).is_some_and(|rest| {
                !rest.is_empty() && !rest.contains(['+', '#']) && !rest.contains(char::is_control)
            })
    }

    /// `{base}/event/{stream}`: live batches.
    #[must_use]
    pub fn event(&self, stream: Stream) -> String {
        format!("{}/event/{stream}", self.base)
    }
}

/// The stream a topic `{base}/event/{stream}` belongs to.
#[must_use]
pub fn stream_of(base: &str, topic: &str) -> Option<Stream> {
    let name = topic.strip_prefix(base)?.strip_prefix("/event/")?;
    Stream::from_name(name)
}

fn is_level(name: &str) -> bool {
    (1..=LONGEST_LEVEL).contains(&name.len())
        && name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-'))
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::tz::TimeZone;

    fn identity(store: &str) -> Identity {
        Identity {
            tenant: "acme".into(),
            store: store.into(),
            box_id: "box-0042".into(),
            boot_id: "5f0c".into(),
            zone: TimeZone::UTC,
        }
    }

    #[test]
    fn topics_are_those_of_the_contract() {
        let topics = Topics::new(&identity("shop-7")).unwrap();
        assert_eq!(topics.state(), "footfall/v1/acme/shop-7/box-0042/state");
        let event = topics.event(Stream::Alarm);
        assert_eq!(event, "footfall/v1/acme/shop-7/box-0042/event/alarm");
        assert_eq!(stream_of(topics.base(), &event), Some(Stream::Alarm));
        assert_eq!(stream_of(topics.base(), &topics.state()), None);
        assert_eq!(stream_of("footfall/v1/other", &event), None);
    }

    #[test]
    fn answers_go_below_the_boxs_own_response_topic_and_nowhere_else() {
        let topics = Topics::new(&identity("shop-7")).unwrap();
        let base = topics.base().to_owned();
        assert_eq!(topics.command(), format!("{base}/command"));
        assert!(topics.is_response(&topics.response("7")));
        assert!(topics.is_response(&format!("{base}/response/desk/7")));
        for elsewhere in [
            format!("{base}/response"),
            format!("{base}/response/"),
            format!("{base}/responses/7"),
            format!("{base}/response/+"),
            format!("{base}/response/a/#"),
            format!("{base}/response/\0"),
            format!("{base}/command"),
            format!("{base}/response/{}", "x".repeat(600)),
            "footfall/v1/acme/shop-8/box-0042/response/7".to_owned(),
            String::new(),
        ] {
            assert!(!topics.is_response(&elsewhere), "{elsewhere}");
        }
    }

    #[test]
    fn a_name_that_would_change_the_topics_shape_is_refused_and_named() {
        for bad in ["", "a/b", "+", "#", "shop 7", "läden", &"x".repeat(65)] {
            let error = Topics::new(&identity(bad)).unwrap_err();
            assert_eq!((error.key, error.value.as_str()), ("store", bad));
        }
    }
}
