//! Commands and their answers, over one connection.

use std::collections::VecDeque;

use tokio::sync::{oneshot, watch};

use super::{Content, End, Parcel, Receipt, Session};
use crate::uplink::desk::Message;
use crate::uplink::encoding::Encoding;
use crate::uplink::link::too_many_commands;

impl Session<'_> {
    /// Hands a command to the desk. What it has no room for the broker brings again.
    pub(super) fn take(&mut self, message: Message, receipt: Receipt) -> Result<(), End> {
        let Some(desk) = &self.shared.desk else {
            return Ok(());
        };
        let reporter = &self.shared.reporter;
        reporter.update(|status| status.counters.commands += 1);
        let Some(durable) = desk.deliver(message) else {
            return Err(self.too_many_commands());
        };
        self.taken.push_back((receipt, durable));
        Ok(())
    }

    /// The oldest command is durable, or never will be on this connection.
    pub(super) fn taken_in(&mut self, durable: bool) -> Result<(), End> {
        match self.taken.pop_front() {
            Some((receipt, _)) if durable && !self.link.acknowledge(&receipt) => {
                Err(self.too_many_commands())
            }
            _ => Ok(()),
        }
    }

    fn too_many_commands(&self) -> End {
        End::Lost(too_many_commands(&self.shared.settings.broker()))
    }

    pub(super) fn acknowledge_commands(&mut self) -> Result<(), End> {
        while let Some((_, durable)) = self.taken.front_mut() {
            match durable.try_recv() {
                Ok(()) => self.taken_in(true)?,
                Err(oneshot::error::TryRecvError::Closed) => self.taken_in(false)?,
                Err(oneshot::error::TryRecvError::Empty) => break,
            }
        }
        Ok(())
    }

    /// Sends one answer; false when there is none to send, or no room, now.
    pub(super) fn answer_next(&mut self) -> bool {
        let now = self.shared.now();
        let Some(desk) = self.shared.desk.clone() else {
            return false;
        };
        let late = self
            .leaving
            .as_ref()
            .is_some_and(|leaving| now >= leaving.send_until);
        if late || !self.shared.ledger.may_answer(desk.last_ticket(), now) {
            return false;
        }
        let after = self.shared.ledger.answer_cursor();
        let Some((ticket, answer)) = desk.answer_after(after) else {
            return false;
        };
        let limit = self
            .link
            .payload_limit(&answer.topic, answer.content_type, 0);
        // The property's id and length, and its bytes.
        let most = limit
            .most
            .saturating_sub(answer.correlation.as_ref().map_or(0, |data| 3 + data.len()));
        if answer.payload.len() > most {
            tracing::warn!(topic = %answer.topic, bytes = answer.payload.len(), most, "an answer is larger than the broker takes");
            desk.too_large(ticket, most);
            return true;
        }
        let idle = self.shared.ledger.in_flight() == 0;
        let sent = self.link.publish(Parcel {
            topic: &answer.topic,
            content_type: answer.content_type,
            encoding: Encoding::Identity,
            correlation: answer.correlation,
            retain: answer.retain,
            payload: answer.payload,
        });
        if sent {
            if idle {
                self.answered_at = now;
            }
            self.shared.ledger.sent(Content::Answer(ticket), now);
        }
        sent
    }
}

/// Whether the oldest command became durable. Cancel-safe; waits for ever while there is none.
pub(super) async fn next_receipt(taken: &mut VecDeque<(Receipt, oneshot::Receiver<()>)>) -> bool {
    match taken.front_mut() {
        Some((_, durable)) => durable.await.is_ok(),
        None => std::future::pending().await,
    }
}

/// The next change; waits for ever where nothing changes any more.
pub(super) async fn changed<T>(watched: Option<&mut watch::Receiver<T>>) {
    if let Some(watched) = watched
        && watched.changed().await.is_ok()
    {
        return;
    }
    std::future::pending().await
}
