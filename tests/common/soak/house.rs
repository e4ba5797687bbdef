//! The box of the soak: what the daemon is made of, but for cameras and antennas.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use footfall::clock::{Clock, SystemClock};
use footfall::command::counters::Counters;
use footfall::command::dispatch::{Dispatcher, Setup};
use footfall::command::handlers::{Call, Handler, Nature, Work};
use footfall::command::key::PrivateKey;
use footfall::config::schema;
use footfall::event::{
    Body, CameraState, DeviceHealth, Direction, Draft, InOut, LineCrossed, LineInterval, Receipt,
    Sink, Stream,
};
use footfall::outbox::{Options, Outbox, PerStream, Queue};
use footfall::sensor::vision::count::interval::IntervalMeter;
use footfall::sensor::wifi::counting::Counting;
use footfall::sensor::wifi::frame::{Address, Probe};
use footfall::sensor::wifi::meters::Meters;
use footfall::status::auth::{Entry, Gate, cookie, pin};
use footfall::status::{Access, Today};
use footfall::uplink::desk::Desk;
use footfall::uplink::topics::Topics;
use footfall::uplink::{Birth, LinkState, LinkStatus, Settings, Uplink};
use jiff::Timestamp;
use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::cloud::Cloud;
use super::line::Line;
use super::{Shop, identity, until};

const PIN: &str = "274916";
/// People who carry a phone and pass by each minute.
const PHONES: u8 = 20;
/// Turns of the outbox's writer after which nothing is left to be tidied.
const TURNS: u64 = 4;

/// Who signs commands.
pub static KEY: LazyLock<PrivateKey> = LazyLock::new(|| PrivateKey::generate(Some("ops")).unwrap());
/// Commands that were obeyed, over all lives of the box.
static OBEYED: AtomicU64 = AtomicU64::new(0);

pub struct House {
    outbox: Outbox,
    today: Today,
    gate: Gate,
    /// The technician's session.
    session: axum::http::HeaderMap,
    meter: IntervalMeter,
    /// Since the meter's interval began.
    crossed: InOut,
    radio: Meters,
    counting: Counting,
    receipts: Vec<Receipt>,
    line: Line,
    link: watch::Receiver<LinkStatus>,
    stop: watch::Sender<bool>,
    uplink: JoinHandle<()>,
}

/// Counts how often it is obeyed.
struct Count;

impl Handler for Count {
    fn name(&self) -> &'static str {
        "count"
    }

    fn nature(&self) -> Nature {
        Nature {
            idempotent: false,
            ordered: false,
        }
    }

    fn run(&self, _call: Call) -> Work<'_> {
        OBEYED.fetch_add(1, Ordering::SeqCst);
        Box::pin(async { Ok(serde_json::json!({"counted": true})) })
    }
}

impl House {
    /// Must be called inside a tokio runtime, from outside its tasks.
    pub fn start(shop: &Shop, broker: u16) -> Self {
        let dir = shop.data();
        let options = Options::new(&dir);
        let (outbox, recovery) = Outbox::open(options, identity(), shop.shared()).unwrap();
        assert!(recovery.gaps.is_empty(), "{recovery:?}");
        let line = Line::to(broker);
        let (stop, stopped) = watch::channel(false);
        let setup = Setup {
            keys: [KEY.public().clone()].into_iter().collect(),
            topics: Topics::new(&identity()).unwrap(),
            identity: identity(),
            clock: shop.shared(),
            handlers: vec![Arc::new(Count)],
            counters: Counters::default(),
        };
        let (desk, worker) = Dispatcher::open(setup, &dir).unwrap();
        tokio::spawn(worker.run(stopped.clone()));
        let config = schema::Uplink {
            broker: Some(format!("mqtt://127.0.0.1:{}", line.port)),
            ..schema::Uplink::default()
        };
        let (status, link) = watch::channel(LinkStatus::off(Timestamp::UNIX_EPOCH));
        let uplink = Uplink {
            settings: Settings::from_config(&config, &identity())
                .unwrap()
                .unwrap(),
            queue: Arc::new(outbox.clone()),
            clock: Arc::new(SystemClock::new(true)),
            status,
            birth: Birth {
                version: "0.1.0".into(),
                config_sha256: watch::channel("c0ffee".to_owned()).1,
                capabilities: Vec::new(),
            },
            desk: Some(desk as Arc<dyn Desk>),
            grace: Duration::from_secs(10),
        };
        let uplink = tokio::spawn(async move { uplink.run(stopped).await.unwrap() });
        let now = shop.clock.now();
        let radio = Meters::default();
        let settings = toml::from_str("id = \"shop\"\ninterface = \"mon0\"").unwrap();
        let mut counting =
            Counting::new(&settings, &identity().zone, now, radio.quality()).unwrap();
        counting.listening(true, now);
        let pin_file = dir.join("pin");
        pin::write(&pin_file, PIN).unwrap();
        let access = Access {
            pin_file: Some(pin_file),
            metrics_open: false,
        };
        let house = Self {
            today: Today::open(&dir, identity(), shop.shared()),
            gate: Gate::new(access, shop.shared()),
            session: axum::http::HeaderMap::new(),
            meter: IntervalMeter::new(Duration::from_secs(60), now),
            crossed: InOut::default(),
            radio,
            counting,
            receipts: Vec::new(),
            line,
            link,
            stop,
            uplink,
            outbox,
        };
        until("the uplink is there", || house.is_connected());
        house
    }

    /// Leaves in order, as the daemon does.
    pub fn stop(self) {
        self.stop.send_replace(true);
        Handle::current().block_on(self.uplink).unwrap();
        self.today.checkpoint().unwrap();
        self.outbox.close().unwrap();
    }

    pub fn outbox(&self) -> &Outbox {
        &self.outbox
    }

    pub fn cut(&self, cut: bool) {
        self.line.cut(cut);
    }

    pub fn is_connected(&self) -> bool {
        self.link.borrow().state == LinkState::Connected
    }

    pub fn obeyed(&self) -> u64 {
        OBEYED.load(Ordering::SeqCst)
    }

    pub fn not_stored(&self) -> u64 {
        self.outbox.not_stored()
    }

    fn submit(&mut self, source: &str, shop: &Shop, body: Body) {
        let draft = Draft {
            source: source.to_owned(),
            at: shop.clock.now(),
            body,
        };
        self.receipts.push(self.outbox.submit(draft).unwrap());
    }

    /// Somebody crosses the line.
    pub fn crosses(&mut self, shop: &Shop, direction: Direction) {
        let (from, to) = match direction {
            Direction::In => ("street", "shop"),
            Direction::Out => ("shop", "street"),
        };
        self.crossed.add(direction);
        let body = Body::LineCrossed(LineCrossed {
            line: "door".into(),
            direction,
            track: fastrand::u64(..),
            from: from.into(),
            to: to.into(),
            class: None,
        });
        self.submit("camera/entrance", shop, body);
    }

    /// What the box does every minute.
    pub fn minute(&mut self, shop: &Shop) {
        let now = shop.clock.now();
        self.meter.frame(now, 0);
        if let Some(one) = self.meter.tick(now, CameraState::Ok) {
            let time = |moment| identity().local_time(moment);
            let crossed = std::mem::take(&mut self.crossed);
            let body = Body::LineInterval(LineInterval {
                line: "door".into(),
                from: time(one.from),
                to: time(one.to),
                open: None,
                inward: crossed.inward,
                outward: crossed.outward,
                classes: BTreeMap::new(),
                quality: one.quality,
            });
            self.submit("camera/entrance", shop, body);
        }
        for _ in 0..PHONES {
            self.radio.probe_requests.add(1);
            let address = [
                2,
                0,
                fastrand::u8(..),
                fastrand::u8(..),
                0,
                fastrand::u8(..),
            ];
            let probe = Probe {
                source: Address::new(address),
                signal: Some(-50),
                retry: false,
                sequence: None,
                truncated: false,
            };
            self.counting.saw(&probe, now);
        }
        if let Some(one) = self.counting.tick(now, &self.radio.quality()).unwrap() {
            self.submit("wifi/shop", shop, Body::WifiInterval(one));
        }
        if now.boot.as_secs() % 300 < 60 {
            let body = Body::DeviceHealth(DeviceHealth {
                rss_bytes: footfall::system::rss_bytes(),
                disk_free_bytes: 0,
                uptime_s: now.boot.as_secs(),
                restarts: 0,
            });
            self.submit("", shop, body);
        }
    }

    /// Somebody logs in on the page; the session of yesterday has ended.
    pub fn technician_looks(&mut self) {
        assert!(
            !self.gate.knows(&self.session, true),
            "twelve hours are enough"
        );
        let Entry::In(token) = Handle::current().block_on(self.gate.enter(PIN.to_owned().into()))
        else {
            panic!("the right PIN does not open the page");
        };
        let cookie = cookie(&token).parse().unwrap();
        self.session = [(axum::http::header::COOKIE, cookie)].into_iter().collect();
        assert!(self.gate.knows(&self.session, true));
    }

    /// Waits until everything handed over is durable, and looks at the sums.
    pub fn until_stored(&mut self) {
        for receipt in self.receipts.drain(..) {
            receipt.blocking_recv().unwrap();
        }
        self.today.catch_up(&self.outbox).unwrap();
        self.today.checkpoint().unwrap();
    }

    /// Waits until the cloud has every event and every answer, and the box knows it.
    pub fn until_delivered(&self, cloud: &Cloud) {
        let last = PerStream(Stream::ALL.map(|stream| self.outbox.stat(stream).last));
        let acked = |stream| self.outbox.stat(stream).pending == 0;
        until("everything has arrived", || cloud.has_everything(&last));
        until("everything is acknowledged", || {
            Stream::ALL.into_iter().all(acked)
        });
    }

    /// Came and went today, as the page says.
    pub fn today(&self) -> (u64, u64) {
        self.today.catch_up(&self.outbox).unwrap();
        let sum = self.today.now().line("entrance", "door").sum;
        (sum.inward, sum.outward)
    }

    /// Waits until the outbox has dropped and closed what it can.
    pub fn settle(&self) {
        let turns = self.outbox.turns();
        until("the outbox has tidied up", || {
            self.outbox.turns() >= turns + TURNS
        });
    }
}
