//! The names of the box's topics, all below one base.

use super::route::{Lane, Route};
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

    /// `{base}/config/desired`: retained; the config the cloud wants, signed.
    #[must_use]
    pub fn desired(&self) -> String {
        format!("{}/config/desired", self.base)
    }

    /// `{base}/config/reported`: retained; the config in force, and what became of the desired one.
    #[must_use]
    pub fn reported(&self) -> String {
        format!("{}/config/reported", self.base)
    }

    /// `{base}/diagnostics/{id}/{part}`: one part of a diagnostics bundle, from 0.
    #[must_use]
    pub fn diagnostics(&self, id: &str, part: usize) -> String {
        format!("{}/diagnostics/{id}/{part}", self.base)
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

    /// `{base}/event/{stream}` for live batches, `{base}/backfill/{stream}` for older ones.
    #[must_use]
    pub fn batch(&self, route: Route) -> String {
        format!("{}/{}/{}", self.base, level(route.lane), route.stream)
    }
}

/// The topic level of a lane.
fn level(lane: Lane) -> &'static str {
    match lane {
        Lane::Live => "event",
        Lane::Backfill => "backfill",
    }
}

/// The filters below a box's base that together bring all its batches.
pub const BATCH_FILTERS: [&str; 2] = ["event/+", "backfill/+"];

/// The lane and stream a batch's topic belongs to.
#[must_use]
pub fn route_of(base: &str, topic: &str) -> Option<Route> {
    let (first, name) = topic
        .strip_prefix(base)?
        .strip_prefix('/')?
        .split_once('/')?;
    let lane = [Lane::Live, Lane::Backfill]
        .into_iter()
        .find(|lane| level(*lane) == first)?;
    let stream = Stream::from_name(name)?;
    Some(Route { lane, stream })
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
        for (route, level) in [
            (Route::live(Stream::Alarm), "event/alarm"),
            (Route::backfill(Stream::Count), "backfill/count"),
        ] {
            let topic = topics.batch(route);
            assert_eq!(topic, format!("footfall/v1/acme/shop-7/box-0042/{level}"));
            assert_eq!(route_of(topics.base(), &topic), Some(route));
            assert_eq!(route_of("footfall/v1/other", &topic), None);
        }
        assert_eq!(route_of(topics.base(), &topics.state()), None);
        let response = topics.response("alarm");
        assert_eq!(route_of(topics.base(), &response), None);
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
