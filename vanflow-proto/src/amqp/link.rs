//! Links that carry bare messages.

use std::{collections::VecDeque, fmt, sync::Arc};

use bytes::Bytes;
use fe2o3_amqp::{
    connection::ConnectionStopReason,
    link::{
        DetachError, LinkStateError, ReceiverAttachError, RecvError, SendError, SenderAttachError,
        SessionStopReason,
        delivery::{DeliveryFut, DeliveryInfo},
        receiver::CreditMode,
    },
    session::SessionHandle,
};
use fe2o3_amqp_types::{
    definitions::{self, AmqpError, ErrorCondition, SenderSettleMode},
    messaging::{self, Data},
    primitives::Symbol,
};
use futures_util::FutureExt;
use thiserror::Error;

use super::parked::{Content, Parked, Queue};

/// Why a link cannot be used, or not any more.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub(crate) enum LinkError {
    /// The peer did not want it. Other links of the session are as well as before.
    #[error("the link was refused: {0}")]
    Refused(String),
    /// The peer detached it. Other links of the session are as well as before.
    #[error("the link was detached: {0}")]
    Detached(String),
    /// Its session or connection is over.
    #[error("{0}")]
    Stopped(String),
    /// It did something that AMQP does not allow.
    #[error("the link failed: {0}")]
    Failed(String),
}

/// What came of a message that was sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    Accepted,
    /// Nobody was there to take it, or nobody wanted to.
    Released,
    Rejected(String),
}

/// What a [`Receiver`] received.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Incoming {
    Message(Bytes),
    /// A message of so many octets, which is more than we take.
    TooLarge(usize),
}

/// A link that messages come by. It accepts what it gives out, and sees to it that the peer never lacks credit as long
/// as [`recv`](Receiver::recv) is called.
#[derive(Debug)]
pub(crate) struct Receiver {
    link: fe2o3_amqp::Receiver,
    queue: Arc<Queue>,
    credit: u32,
    /// Deliveries since credit was last given.
    taken: u32,
    /// Deliveries that the peer waits to see.
    unsettled: Vec<DeliveryInfo>,
}

impl Receiver {
    /// Attaches a link to `address` and gives credit for `credit` messages, at least 2. The peer is asked to send
    /// settled messages, which saves it and us a frame each; what it does not settle is accepted.
    pub(crate) async fn attach<R>(
        session: &mut SessionHandle<R>,
        address: &str,
        credit: u32,
        parked: &Parked,
    ) -> Result<Self, LinkError> {
        let name = parked.link_name(address);
        let attached = fe2o3_amqp::Receiver::builder()
            .name(name.clone())
            .source(address)
            .sender_settle_mode(SenderSettleMode::Settled)
            .credit_mode(CreditMode::Manual)
            // What the router says of its side of the link is of no interest.
            .verify_incoming_source(false)
            .verify_incoming_target(false)
            .attach(session)
            .await;
        match attached {
            Ok(link) => Self::accept(link, credit, parked).await,
            Err(error) => {
                parked.forget(&name);
                Err(error.into())
            }
        }
    }

    /// Makes a receiver of a link that the peer attached.
    pub(crate) async fn accept(
        mut link: fe2o3_amqp::Receiver,
        credit: u32,
        parked: &Parked,
    ) -> Result<Self, LinkError> {
        let queue = parked.claim(link.name());
        let credit = credit.max(2);
        link.set_credit_mode(CreditMode::Manual);
        match link.set_credit(credit).await {
            Ok(()) => Ok(Self { link, queue, credit, taken: 0, unsettled: Vec::new() }),
            Err(error) => Err(LinkStateError::from(error).into()),
        }
    }

    /// The next message. May be dropped and called again; nothing is lost by it.
    ///
    /// # Errors
    ///
    /// When the link is of no use any more. [`close`](Receiver::close) it then.
    pub(crate) async fn recv(&mut self) -> Result<Incoming, LinkError> {
        loop {
            // What is there is taken at once; before waiting, the peer sees what was taken.
            let delivery = match self.link.recv::<Data>().now_or_never() {
                Some(delivery) => delivery?,
                None => {
                    self.settle().await?;
                    self.link.recv::<Data>().await?
                }
            };
            let (info, message) = delivery.into_parts();
            let token = <[u8; 8]>::try_from(&message.body.0[..]).ok().map(u64::from_be_bytes);
            let entry = token.and_then(|token| self.queue.take(token));
            if entry.as_ref().is_none_or(|entry| !entry.settled) {
                self.unsettled.push(info);
            }
            self.taken += 1;
            if self.taken >= self.credit / 2 {
                self.settle().await?;
                self.link.set_credit(self.credit).await.map_err(LinkStateError::from)?;
                self.taken = 0;
            }
            match entry.map(|entry| entry.content) {
                Some(Content::Message(bytes)) => return Ok(Incoming::Message(bytes)),
                Some(Content::TooLarge(octets)) => return Ok(Incoming::TooLarge(octets)),
                Some(Content::Aborted) | None => {}
            }
        }
    }

    /// The next message, of which the peer hears what `decide` says.
    ///
    /// # Errors
    ///
    /// As of [`recv`](Receiver::recv).
    #[cfg_attr(not(feature = "source"), expect(dead_code, reason = "collectors accept everything"))]
    pub(crate) async fn recv_deciding(
        &mut self,
        decide: impl FnOnce(&Incoming) -> Outcome,
    ) -> Result<Incoming, LinkError> {
        loop {
            let delivery = self.link.recv::<Data>().await?;
            let (info, message) = delivery.into_parts();
            let token = <[u8; 8]>::try_from(&message.body.0[..]).ok().map(u64::from_be_bytes);
            let entry = token.and_then(|token| self.queue.take(token));
            self.taken += 1;
            if self.taken >= self.credit / 2 {
                self.link.set_credit(self.credit).await.map_err(LinkStateError::from)?;
                self.taken = 0;
            }
            let settled = entry.as_ref().is_some_and(|entry| entry.settled);
            let incoming = match entry.map(|entry| entry.content) {
                Some(Content::Message(bytes)) => Incoming::Message(bytes),
                Some(Content::TooLarge(octets)) => Incoming::TooLarge(octets),
                Some(Content::Aborted) | None => continue,
            };
            let outcome = decide(&incoming);
            if !settled {
                let reported = match outcome {
                    Outcome::Accepted => self.link.accept(info).await,
                    Outcome::Released => self.link.release(info).await,
                    Outcome::Rejected(reason) => {
                        let error = definitions::Error::new(AmqpError::PreconditionFailed, reason, None);
                        self.link.reject(info, error).await
                    }
                };
                reported.map_err(LinkStateError::from)?;
            }
            return Ok(incoming);
        }
    }

    async fn settle(&mut self) -> Result<(), LinkError> {
        if !self.unsettled.is_empty() {
            let unsettled = std::mem::take(&mut self.unsettled);
            self.link.accept_all(unsettled).await.map_err(LinkStateError::from)?;
        }
        Ok(())
    }

    /// Detaches the link. It must not be dropped instead: a message that comes when nobody is there for it ends the
    /// session.
    pub(crate) async fn close(mut self) {
        let _ = self.settle().await;
        let _ = self.link.close().await;
    }
}

/// A link that messages go by.
pub(crate) struct Sender {
    link: fe2o3_amqp::Sender,
    /// Of messages that were [posted](Sender::post) and not seen yet.
    outcomes: VecDeque<DeliveryFut<Result<messaging::Outcome, SendError>>>,
}

impl fmt::Debug for Sender {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sender").field("name", &self.link.name()).finish_non_exhaustive()
    }
}

impl Sender {
    /// Attaches a link to `address`.
    pub(crate) async fn attach<R>(
        session: &mut SessionHandle<R>,
        address: &str,
        parked: &Parked,
    ) -> Result<Self, LinkError> {
        let link = fe2o3_amqp::Sender::builder()
            .name(parked.link_name(address))
            .target(address)
            .verify_incoming_source(false)
            .verify_incoming_target(false)
            .attach(session)
            .await?;
        Ok(Self::accept(link))
    }

    /// Makes a sender of a link that the peer attached.
    pub(crate) fn accept(link: fe2o3_amqp::Sender) -> Self {
        Self { link, outcomes: VecDeque::new() }
    }

    /// Sends a message and waits for what comes of it. Waits for credit, too: a router gives none as long as nobody
    /// listens at the other end.
    #[cfg_attr(
        not(any(test, feature = "router")),
        expect(dead_code, reason = "sources do not ask what came of it")
    )]
    pub(crate) async fn send(&mut self, message: Vec<u8>) -> Result<Outcome, LinkError> {
        Ok(self.link.send(Data(message.into())).await?.into())
    }

    /// Sends a message without waiting for what comes of it; waits for credit.
    #[cfg_attr(
        not(any(test, feature = "source")),
        expect(dead_code, reason = "collectors send nothing but FLUSH")
    )]
    pub(crate) async fn post(&mut self, message: Vec<u8>) -> Result<(), LinkError> {
        while let Some(outcome) = self.outcomes.front_mut() {
            match outcome.now_or_never() {
                Some(_) => self.outcomes.pop_front(),
                None => break,
            };
        }
        let outcome = self.link.send_batchable(Data(message.into())).await?;
        self.outcomes.push_back(outcome);
        Ok(())
    }

    /// Waits until the peer detaches the link, or it is over for another reason. May be dropped and called again.
    #[cfg_attr(not(feature = "source"), expect(dead_code, reason = "collectors find out when they send"))]
    pub(crate) async fn detached(&mut self) -> LinkError {
        self.link.on_detach().await.into()
    }

    /// Detaches the link.
    pub(crate) async fn close(self) {
        let _ = self.link.close().await;
    }
}

impl From<messaging::Outcome> for Outcome {
    fn from(outcome: messaging::Outcome) -> Self {
        match outcome {
            messaging::Outcome::Accepted(_) => Self::Accepted,
            messaging::Outcome::Rejected(rejected) => Self::Rejected(
                rejected.error.map_or_else(|| "without a reason".into(), |error| words(&error)),
            ),
            _ => Self::Released,
        }
    }
}

/// An AMQP error in words.
pub(crate) fn words(error: &definitions::Error) -> String {
    let condition = match &error.condition {
        ErrorCondition::AmqpError(error) => Symbol::from(error),
        ErrorCondition::ConnectionError(error) => Symbol::from(error),
        ErrorCondition::SessionError(error) => Symbol::from(error),
        ErrorCondition::LinkError(error) => Symbol::from(error),
        ErrorCondition::Custom(symbol) => symbol.clone(),
        #[expect(
            unreachable_patterns,
            reason = "with its feature `transaction` fe2o3-amqp knows more conditions"
        )]
        other => Symbol::from(format!("{other:?}")),
    };
    match &error.description {
        Some(description) if !description.is_empty() => format!("{description} ({})", condition.0),
        _ => condition.0,
    }
}

fn stopped(reason: &SessionStopReason) -> LinkError {
    LinkError::Stopped(match reason {
        SessionStopReason::Ended => "the session was ended".into(),
        SessionStopReason::RemoteEnded => "the peer ended the session".into(),
        SessionStopReason::EndedWithError(error) => format!("the session was ended: {}", words(error)),
        SessionStopReason::RemoteEndedWithError(error) => {
            format!("the peer ended the session: {}", words(error))
        }
        SessionStopReason::ConnectionStopped(reason) => match reason {
            ConnectionStopReason::Closed => "the connection is closed".into(),
            ConnectionStopReason::ClosedWithError(error) => {
                format!("the connection was closed: {}", words(error))
            }
            ConnectionStopReason::RemoteClosed => "the peer closed the connection".into(),
            ConnectionStopReason::RemoteClosedWithError(error) => {
                format!("the peer closed the connection: {}", words(error))
            }
        },
    })
}

impl From<ReceiverAttachError> for LinkError {
    fn from(error: ReceiverAttachError) -> Self {
        match error {
            ReceiverAttachError::SessionStopped(reason) => stopped(&reason),
            ReceiverAttachError::RemoteClosedWithError(error) => Self::Refused(words(&error)),
            ReceiverAttachError::IncomingSourceIsNone => Self::Refused("no reason was given".into()),
            other => Self::Failed(other.to_string()),
        }
    }
}

impl From<SenderAttachError> for LinkError {
    fn from(error: SenderAttachError) -> Self {
        match error {
            SenderAttachError::SessionStopped(reason) => stopped(&reason),
            SenderAttachError::RemoteClosedWithError(error) => Self::Refused(words(&error)),
            SenderAttachError::IncomingTargetIsNone => Self::Refused("no reason was given".into()),
            other => Self::Failed(other.to_string()),
        }
    }
}

impl From<LinkStateError> for LinkError {
    fn from(error: LinkStateError) -> Self {
        match error {
            LinkStateError::SessionStopped(reason) => stopped(&reason),
            LinkStateError::RemoteDetached | LinkStateError::RemoteClosed => {
                Self::Detached("no reason was given".into())
            }
            LinkStateError::RemoteDetachedWithError(error) | LinkStateError::RemoteClosedWithError(error) => {
                Self::Detached(words(&error))
            }
            other => Self::Failed(other.to_string()),
        }
    }
}

impl From<DetachError> for LinkError {
    fn from(error: DetachError) -> Self {
        match error {
            DetachError::SessionStopped(reason) => stopped(&reason),
            DetachError::ClosedByRemote | DetachError::DetachedByRemote => {
                Self::Detached("no reason was given".into())
            }
            DetachError::RemoteDetachedWithError(error) | DetachError::RemoteClosedWithError(error) => {
                Self::Detached(words(&error))
            }
            other => Self::Failed(other.to_string()),
        }
    }
}

impl From<RecvError> for LinkError {
    fn from(error: RecvError) -> Self {
        match error {
            RecvError::LinkStateError(error) => error.into(),
            other => Self::Failed(other.to_string()),
        }
    }
}

impl From<SendError> for LinkError {
    fn from(error: SendError) -> Self {
        match error {
            SendError::LinkStateError(error) => error.into(),
            SendError::Detached(error) => error.into(),
            other => Self::Failed(other.to_string()),
        }
    }
}
