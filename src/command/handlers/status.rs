//! `status`: the daemon's whole state, as `/api/v1/status` gives it. Takes nothing.

use serde_json::Value;

use super::{Call, Handler, Nature, Nothing, Work};

/// See the module.
pub struct Status {
    /// Makes the report.
    pub report: Box<dyn Fn() -> Value + Send + Sync>,
}

impl Handler for Status {
    fn name(&self) -> &'static str {
        "status"
    }

    fn nature(&self) -> Nature {
        Nature {
            idempotent: true,
            ordered: false,
        }
    }

    fn run(&self, mut call: Call) -> Work<'_> {
        Box::pin(async move {
            call.arguments::<Nothing>()?;
            Ok((self.report)())
        })
    }
}
