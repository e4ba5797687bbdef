//! An MQTT 5 broker that fails on purpose, by a plan for each connection. It takes what one box publishes, keeps a
//! session of commands for it, and remembers what it took and acknowledged: the truth of the cloud.
//!
//! Time is tokio's, so with a paused clock a schedule of hours takes a moment.

#![allow(dead_code)] // each test file uses its own part

use std::collections::{BTreeSet, VecDeque};
use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, sleep_until};

#[path = "faulty_broker/plan.rs"]
pub mod plan;
#[path = "faulty_broker/truth.rs"]
pub mod truth;
#[path = "faulty_broker/wire.rs"]
pub mod wire;

use plan::{Ending, Pieces, Plan, Point};
use truth::Truth;
use wire::{Connect, Packet, Publish};

/// Commands the broker keeps for the box.
#[derive(Debug, Default)]
pub struct Session {
    exists: bool,
    /// Not acknowledged yet: packet id, payload, whether it was sent before.
    queue: VecDeque<(u16, String, bool)>,
    last_id: u16,
    issued: usize,
    /// Given up with a session.
    lost: BTreeSet<String>,
}

impl Session {
    fn forget(&mut self) {
        self.exists = false;
        let lost = self.queue.drain(..).map(|(_, command, _)| command);
        self.lost.extend(lost);
    }

    fn issue(&mut self) {
        self.issued += 1;
        self.last_id = self.last_id % 60_000 + 1;
        let command = format!("c{}", self.issued);
        self.queue.push_back((self.last_id, command, false));
    }

    /// The commands that must have been answered in the end.
    pub fn owed(&self) -> impl Iterator<Item = String> {
        let all = (1..=self.issued).map(|number| format!("c{number}"));
        all.filter(|command| !self.lost.contains(command))
    }
}

/// What all connections share.
#[derive(Debug, Default)]
pub struct State {
    pub truth: Truth,
    pub session: Session,
    plans: VecDeque<Plan>,
    /// Connections accepted that had no plan.
    healthy: u64,
}

/// Listens on a port of its own; connections fare by the plans, first to last, and later ones without a fault.
pub struct FaultyBroker {
    pub port: u16,
    state: Arc<Mutex<State>>,
    task: JoinHandle<()>,
}

impl FaultyBroker {
    /// `base`: of the one box that may connect.
    pub async fn start(base: &str, plans: Vec<Plan>) -> Self {
        Self::start_at((Ipv4Addr::LOCALHOST, 0), base, plans).await
    }

    /// At an address and a port of its own.
    pub async fn start_at(at: (Ipv4Addr, u16), base: &str, plans: Vec<Plan>) -> Self {
        let listener = TcpListener::bind(at).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let state = Arc::new(Mutex::new(State {
            plans: plans.into(),
            ..State::default()
        }));
        let task = tokio::spawn(listen(listener, base.to_owned(), Arc::clone(&state)));
        Self { port, state, task }
    }

    pub fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    /// For whoever wants to look while the broker runs.
    pub fn share(&self) -> Arc<Mutex<State>> {
        Arc::clone(&self.state)
    }

    /// Every plan has had its connection, and a connection without a fault has been accepted.
    pub fn is_healthy(&self) -> bool {
        self.state().healthy > 0
    }

    pub async fn stop(self) {
        self.task.abort();
        let _ = self.task.await;
    }
}

/// Ends with its owner.
struct Served(JoinHandle<()>);

impl Drop for Served {
    fn drop(&mut self) {
        self.0.abort();
    }
}

async fn listen(listener: TcpListener, base: String, state: Arc<Mutex<State>>) {
    let mut _current = None;
    while let Ok((stream, _)) = listener.accept().await {
        let plan = {
            let mut state = state.lock().unwrap();
            state.truth.connections += 1;
            let plan = state.plans.pop_front();
            match &plan {
                Some(plan) => state.truth.happened(plan.kind()),
                None => state.healthy += 1,
            }
            plan.unwrap_or_default()
        };
        let line = Line::new(stream, plan, base.clone(), Arc::clone(&state));
        // One box, one connection: an older one ends here.
        _current = Some(Served(tokio::spawn(line.serve())));
    }
}

/// The connection is over.
struct Gone;

struct Answer {
    place: usize,
    reason: u8,
    publish: Publish,
}

struct Line {
    stream: TcpStream,
    plan: Plan,
    base: String,
    state: Arc<Mutex<State>>,
    read: Vec<u8>,
    /// Publishes so far.
    place: usize,
    /// Packet ids of publishes that are not answered yet.
    under_way: BTreeSet<u16>,
    waiting: Vec<Answer>,
    flush_at: Option<Instant>,
    /// Commands sent on this connection that are not acknowledged yet.
    commands: VecDeque<u16>,
    commands_ahead: usize,
}

impl Line {
    fn new(stream: TcpStream, plan: Plan, base: String, state: Arc<Mutex<State>>) -> Self {
        let _ = stream.set_nodelay(true);
        Self {
            stream,
            plan,
            base,
            state,
            read: Vec::new(),
            place: 0,
            under_way: BTreeSet::new(),
            waiting: Vec::new(),
            flush_at: None,
            commands: VecDeque::new(),
            commands_ahead: 0,
        }
    }

    async fn serve(mut self) {
        let Err(Gone) = self.talk().await;
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    fn broken(&self, rule: impl Into<String>) {
        self.state().truth.broken(rule);
    }

    async fn talk(&mut self) -> Result<std::convert::Infallible, Gone> {
        self.at(Point::Accepted).await?;
        self.greet().await?;
        self.at(Point::Greeted).await?;
        self.send_commands().await?;
        loop {
            while let Some(packet) = self.next_packet().await? {
                self.handle(packet).await?;
            }
            if self.flush_at.is_some_and(|moment| Instant::now() >= moment) {
                self.flush().await?;
            }
            let flush_at = self.flush_at;
            tokio::select! {
                more = self.read_more() => more?,
                () = async { sleep_until(flush_at.unwrap()).await }, if flush_at.is_some() => {}
            }
        }
    }

    /// Cancel-safe: what was read is kept.
    async fn read_more(&mut self) -> Result<(), Gone> {
        let mut buffer = vec![0; self.plan.slow_reading.unwrap_or(64 * 1024)];
        match self.stream.read(&mut buffer).await {
            Ok(0) | Err(_) => return Err(Gone),
            Ok(count) => self.read.extend(&buffer[..count]),
        }
        if self.plan.slow_reading.is_some() {
            sleep(Duration::from_millis(5)).await;
        }
        Ok(())
    }

    /// The next packet, if all of it is there.
    async fn next_packet(&mut self) -> Result<Option<Packet>, Gone> {
        if self.read.first().is_some_and(|byte| byte >> 4 == 3) {
            self.at(Point::Before(self.place + 1)).await?;
        }
        wire::read(&mut self.read).map_err(|why| {
            self.broken(why);
            Gone
        })
    }

    async fn greet(&mut self) -> Result<(), Gone> {
        let connect = loop {
            match self.next_packet().await? {
                Some(Packet::Connect(connect)) => break connect,
                // As a broker of MQTT 5 may: it closes.
                Some(Packet::Probe) => return Err(Gone),
                Some(other) => {
                    self.broken(format!("{other:?} before CONNECT"));
                    return Err(Gone);
                }
                None => self.read_more().await?,
            }
        };
        self.check_connect(&connect);
        self.commands_ahead = connect.receive_maximum.into();
        self.at(Point::Connected).await?;
        let refused = self.plan.connack >= 0x80;
        let present = {
            let session = &mut self.state().session;
            if connect.clean_start || self.plan.lose_session {
                session.forget();
            }
            !refused && std::mem::replace(&mut session.exists, !connect.clean_start)
        };
        let limits = self.plan.limits;
        let greeting = wire::connack(present, self.plan.connack, limits);
        self.say(vec![greeting]).await?;
        if refused { Err(Gone) } else { Ok(()) }
    }

    fn check_connect(&self, connect: &Connect) {
        let will = (
            format!("{}/state", self.base),
            br#"{"online":false}"#.to_vec(),
        );
        // The connection that only makes the broker forget its session leaves at once, without a will.
        let forgets = connect.clean_start && connect.will.is_none();
        if connect.will.as_ref() != Some(&will) && !forgets {
            self.broken(format!("the will is {:?}", connect.will));
        }
        if connect.keep_alive == 0 || connect.client_id.is_empty() {
            self.broken(format!("{connect:?}"));
        }
    }

    async fn handle(&mut self, packet: Packet) -> Result<(), Gone> {
        match packet {
            Packet::Connect(_) | Packet::Probe => {
                self.broken("a second CONNECT");
                Err(Gone)
            }
            Packet::Publish(publish) => self.take(publish).await,
            Packet::PubAck { id, .. } => {
                // MQTT 5, 4.6: in the order of the publishes.
                if self.commands.pop_front() != Some(id) {
                    self.broken(format!("PUBACK {id} out of order, or for nothing"));
                }
                self.state()
                    .session
                    .queue
                    .retain(|(queued, ..)| *queued != id);
                self.send_commands().await
            }
            Packet::Subscribe { id, filters } => {
                self.at(Point::Subscribed).await?;
                let wanted =
                    ["command", "config/desired"].map(|name| format!("{}/{name}", self.base));
                if filters != wanted {
                    self.broken(format!("a subscription to {filters:?}"));
                }
                let reason = self.plan.suback.unwrap_or(1);
                self.say(vec![wire::suback(id, &[reason; 2])]).await?;
                if reason < 0x80 {
                    for _ in 0..self.plan.commands {
                        self.state().session.issue();
                    }
                }
                self.send_commands().await
            }
            Packet::PingReq => {
                self.at(Point::Pinged).await?;
                self.say(vec![wire::pingresp()]).await
            }
            Packet::Disconnect { .. } => {
                self.state().truth.goodbyes += 1;
                Err(Gone)
            }
        }
    }

    async fn take(&mut self, publish: Publish) -> Result<(), Gone> {
        self.place += 1;
        let place = self.place;
        self.check_publish(&publish);
        let refusals = &self.plan.refusals;
        let refusal = refusals.iter().find(|(at, _)| *at == place);
        let reason = refusal.map_or(0, |(_, reason)| *reason);
        let mut taken = false;
        if let Some((
            Point::Published {
                place: at,
                taken: take,
            },
            _,
        )) = self.plan.end
            && at == place
        {
            if take && reason == 0 {
                self.state().truth.take(&self.base, &publish);
                taken = true;
            }
            self.end().await?;
        }
        match reason {
            0 if taken => {}
            0 => self.state().truth.take(&self.base, &publish),
            _ => self.state().truth.refuse(&self.base, &publish),
        }
        self.under_way.insert(publish.id);
        self.waiting.push(Answer {
            place,
            reason,
            publish,
        });
        self.flush_at
            .get_or_insert(Instant::now() + self.plan.delay);
        Ok(())
    }

    fn check_publish(&self, publish: &Publish) {
        self.state().truth.publishes += 1;
        let limits = self.plan.limits;
        let most = limits.receive_maximum.map_or(usize::MAX, usize::from);
        if self.under_way.len() >= most {
            self.broken(format!("more than {most} publishes under way"));
        }
        let largest = limits.maximum_packet.unwrap_or(u32::MAX);
        if publish.size > usize::try_from(largest).unwrap() {
            self.broken(format!(
                "{} bytes where {largest} are allowed",
                publish.size
            ));
        }
        if publish.id == 0 || publish.dup || self.under_way.contains(&publish.id) {
            self.broken(format!("packet id {}, dup {}", publish.id, publish.dup));
        }
        if publish.retain && limits.no_retain {
            self.broken("a retained message, which is not allowed");
        }
    }

    /// Answers what waits.
    async fn flush(&mut self) -> Result<(), Gone> {
        self.flush_at = None;
        let mut waiting = std::mem::take(&mut self.waiting);
        if self.plan.shuffled {
            fastrand::Rng::with_seed(self.place as u64).shuffle(&mut waiting);
        }
        let mut together = Vec::new();
        let places: Vec<usize> = waiting.iter().map(|answer| answer.place).collect();
        for answer in waiting {
            let Answer {
                place,
                reason,
                publish,
            } = answer;
            self.under_way.remove(&publish.id);
            if reason == 0 {
                self.state().truth.ack(&self.base, &publish);
            }
            let packet = wire::puback(publish.id, reason, self.plan.wordy);
            if self.plan.pieces == Pieces::Together {
                together.push(packet);
            } else {
                self.say(vec![packet]).await?;
                self.at(Point::Answered(place)).await?;
            }
        }
        if !together.is_empty() {
            self.say(together).await?;
            for place in places {
                self.at(Point::Answered(place)).await?;
            }
        }
        Ok(())
    }

    async fn send_commands(&mut self) -> Result<(), Gone> {
        let mut packets = Vec::new();
        {
            let topic = format!("{}/command", self.base);
            let mut state = self.state.lock().unwrap();
            for (id, command, sent) in &mut state.session.queue {
                if self.commands.len() < self.commands_ahead && !self.commands.contains(id) {
                    packets.push(wire::publish(*id, *sent, &topic, command.as_bytes()));
                    self.commands.push_back(*id);
                    *sent = true;
                }
            }
        }
        self.say(packets).await
    }

    async fn say(&mut self, packets: Vec<Vec<u8>>) -> Result<(), Gone> {
        let writes: Vec<Vec<u8>> = match self.plan.pieces {
            Pieces::Packets => packets,
            Pieces::Together => vec![packets.concat()],
            Pieces::Bytes => packets.concat().chunks(1).map(<[u8]>::to_vec).collect(),
        };
        for bytes in writes {
            self.stream.write_all(&bytes).await.map_err(|_| Gone)?;
            if self.plan.pieces == Pieces::Bytes {
                tokio::task::yield_now().await;
            }
        }
        Ok(())
    }

    /// Pauses or ends the connection if the plan says so.
    async fn at(&mut self, point: Point) -> Result<(), Gone> {
        if let Some((_, length)) = self.plan.pause.take_if(|(planned, _)| *planned == point) {
            sleep(length).await;
        }
        match &self.plan.end {
            Some((planned, _)) if *planned == point => self.end().await,
            _ => Ok(()),
        }
    }

    async fn end(&mut self) -> Result<(), Gone> {
        let Some((_, ending)) = self.plan.end.take() else {
            return Ok(());
        };
        match ending {
            Ending::Close => {}
            Ending::Reset => drop(self.stream.set_zero_linger()),
            Ending::Disconnect(reason) => {
                self.say(vec![wire::disconnect(reason, self.plan.wordy)])
                    .await?;
            }
            Ending::Garbage(bytes) => {
                self.say(vec![bytes]).await?;
                self.hush().await;
            }
            Ending::Silence => self.hush().await,
            Ending::Stall => std::future::pending().await,
        }
        Err(Gone)
    }

    /// Reads on and says nothing, until the box leaves.
    async fn hush(&mut self) {
        let mut buffer = vec![0; 64 * 1024];
        while let Ok(1..) = self.stream.read(&mut buffer).await {}
    }
}
