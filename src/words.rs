//! Sentences for people, in the languages of the page.

use schemars::JsonSchema;
use serde::Serialize;

/// One sentence in every language. Logs and events use the English one.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Words {
    pub en: String,
    pub zh: String,
}

impl Words {
    /// The same thing said in English and in Chinese.
    #[must_use]
    pub fn new(en: impl Into<String>, zh: impl Into<String>) -> Self {
        Self {
            en: en.into(),
            zh: zh.into(),
        }
    }
}

/// A text that is not translated, such as what the operating system says.
impl From<&str> for Words {
    fn from(text: &str) -> Self {
        Self::new(text, text)
    }
}
