//! Every text of the page, in every language, in one table. The compiler sees to it that none is missing.

use axum::http::{HeaderMap, header};

use super::auth::cookie_value;
use crate::uplink::LinkState;
use crate::words::Words;

/// The cookie that remembers the language somebody chose.
pub const COOKIE: &str = "footfall_lang";

/// A language of the page.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Lang {
    #[default]
    En,
    Zh,
}

impl Lang {
    /// The tag for `<html lang>`, `?lang=` and the cookie.
    #[must_use]
    pub const fn tag(self) -> &'static str {
        match self {
            Self::En => "en",
            Self::Zh => "zh",
        }
    }

    /// The language a tag (`zh`, `zh-CN`, `EN`) stands for.
    #[must_use]
    pub fn from_tag(tag: &str) -> Option<Self> {
        let main = tag.trim().split('-').next().unwrap_or_default();
        [Self::En, Self::Zh]
            .into_iter()
            .find(|lang| main.eq_ignore_ascii_case(lang.tag()))
    }

    /// The language of a request: what was chosen, else what the browser prefers (RFC 9110, section 12.5.4).
    #[must_use]
    pub fn of(chosen: Option<&str>, headers: &HeaderMap) -> Self {
        let cookie = || cookie_value(headers, COOKIE).and_then(Self::from_tag);
        let accepted = || {
            let wishes = headers.get(header::ACCEPT_LANGUAGE)?.to_str().ok()?;
            preferred(wishes)
        };
        chosen
            .and_then(Self::from_tag)
            .or_else(cookie)
            .or_else(accepted)
            .unwrap_or_default()
    }

    /// The table in this language.
    #[must_use]
    pub const fn texts(self) -> &'static Texts {
        match self {
            Self::En => &EN,
            Self::Zh => &ZH,
        }
    }

    /// A sentence in this language.
    #[must_use]
    pub fn say(self, words: &Words) -> &str {
        match self {
            Self::En => &words.en,
            Self::Zh => &words.zh,
        }
    }
}

fn preferred(wishes: &str) -> Option<Lang> {
    let mut best = None;
    for wish in wishes.split(',').take(16) {
        let (tag, parameter) = wish.split_once(';').unwrap_or((wish, ""));
        let quality = parameter.trim().strip_prefix("q=");
        let quality = quality.map_or(1.0, |q| q.parse::<f32>().unwrap_or(0.0));
        let better = best.is_none_or(|(_, most)| quality > most);
        if let Some(lang) = Lang::from_tag(tag)
            && quality > 0.0
            && better
        {
            best = Some((lang, quality));
        }
    }
    best.map(|(lang, _)| lang)
}

/// `text` with its `{}` replaced.
#[must_use]
pub fn fill(text: &str, value: impl ToString) -> String {
    text.replacen("{}", &value.to_string(), 1)
}

macro_rules! texts {
    ($($key:ident: $en:literal, $zh:literal;)*) => {
        /// The texts of one language.
        pub struct Texts {
            pub lang: Lang,
            $(pub $key: &'static str,)*
        }
        static EN: Texts = Texts { lang: Lang::En, $($key: $en,)* };
        static ZH: Texts = Texts { lang: Lang::Zh, $($key: $zh,)* };
        #[cfg(test)]
        const ALL: &[(&str, &str, &str)] = &[$((stringify!($key), $en, $zh),)*];
    };
}

texts! {
    overview: "Today", "今日";
    sensors: "Sensors", "传感器";
    cloud: "Cloud", "云端";
    diagnostics: "Download diagnostics", "下载诊断文件";
    diagnostics_note: "One file for whoever helps you: no passwords, no pictures, nothing about customers.", "发给技术支持的文件：不含密码、图像及任何顾客信息。";
    machine: "Box", "设备";
    logout: "Log out", "退出";
    other_language: "中文", "English";

    came_in: "in today", "今日进入";
    went_out: "out today", "今日离开";
    inside: "inside now", "当前在店";
    chart: "By quarter of an hour", "每 15 分钟";
    chart_in: "in", "进";
    chart_out: "out", "出";
    chart_most: "most in 15 minutes: {}", "15 分钟内最多：{}";
    chart_empty: "Nobody has crossed a line today.", "今天还没有人经过计数线。";
    occupancy_note: "Inside now is who came in and has not gone out since the place was last empty (4 in the morning, unless the config says otherwise).", "当前在店 = 自上次清零（默认凌晨 4 点，可在配置中更改）以来进入且尚未离开的人数。";
    places: "Inside now", "当前人数";
    place: "place", "区域";
    people_inside: "people inside", "人数";
    people_most: "allowed at most", "上限";
    place_full: "full", "已满";
    zones: "Zones", "停留区域";
    zone: "zone", "区域";
    zone_visits: "visits today", "今日到访";
    zone_present: "there now", "当前人数";
    queue_length: "{} waiting", "{} 人排队";
    queue_wait: "about {} to wait", "预计等待 {}";
    queue_wait_unknown: "wait not known yet", "等待时间未知";
    lines: "Counting lines", "计数线";
    line: "line", "计数线";
    direction_in: "in", "进";
    direction_out: "out", "出";
    all_well: "Everything works.", "一切正常。";
    look_here: "Please look at this", "请检查";
    no_sensor: "No sensor is set up. Add a [[camera]] to the config file, then restart footfall.", "未设置传感器。请在配置文件中添加 [[camera]]，然后重启 footfall。";

    camera: "Camera", "摄像头";
    wifi: "Wi-Fi", "Wi-Fi";
    scanner: "Scanner", "扫码器";
    gpio: "Contacts", "开关量输入";
    state_ok: "works", "正常";
    state_starting: "starting", "启动中";
    state_trouble: "needs you", "需要处理";
    since: "for {}", "已持续 {}";
    look_through: "What it sees", "查看画面";
    no_such_sensor: "This camera is not set up (any more).", "该摄像头未设置或已移除。";
    back: "All sensors", "全部传感器";
    preview_alt: "Camera picture with people made unrecognisable", "摄像头画面（人物已模糊处理）";
    preview_note: "Whoever the detector finds is made unrecognisable before the picture leaves the camera. Nothing is stored. The arrow on a line shows the way in.", "画面离开摄像头前，检测到的人物已被模糊处理；不保存任何图像。线上的箭头表示进入方向。";
    preview_none: "No picture yet. Look at the camera's state below.", "暂无画面。请查看下方摄像头状态。";
    way_in: "from {} ", "从“{}”";
    way_to: "to {}", "到“{}”";

    link_off: "not set up", "未设置";
    link_off_note: "No broker is set up; events stay on the box. Set uplink.broker in the config.", "未设置服务器；事件保存在设备上。请在配置文件中设置 uplink.broker。";
    link_connecting: "connecting", "正在连接";
    link_connected: "connected", "已连接";
    link_disconnected: "not connected; events wait on the box", "未连接；事件保存在设备上等待上传";
    link_refused: "the broker refuses this box", "服务器拒绝此设备";
    link_tls: "no secure connection", "无法建立安全连接";
    link_stopped: "stopped", "已停止";
    outbox: "Outbox", "待发队列";
    waiting: "events wait for the cloud", "个事件等待上传";
    stream: "stream", "事件流";
    stored: "stored", "已存储";
    pending: "waiting", "等待中";
    alarm: "alarms", "告警";
    count: "counts", "计数";
    interval: "sums over time", "时段统计";
    diagnostic: "diagnostics", "诊断";
    outbox_disk: "size on disk", "占用磁盘";
    acked: "taken by the cloud", "云端已接收";
    resent: "sent again", "重发";
    lost_connections: "connections lost", "连接中断次数";
    failed_attempts: "failed attempts", "连接失败次数";
    cannot_store: "Events cannot be stored: {}", "无法存储事件：{}";

    clock: "clock", "时钟";
    clock_synced: "confirmed by a time source", "已与时间源同步";
    clock_unsynced: "no time source has confirmed it yet; check the network", "尚未与时间源同步；请检查网络";
    running_for: "running for", "已运行";
    restarts: "parts started again", "部件重启次数";
    disk_free: "disk space free", "磁盘可用空间";
    disk_low: "almost full; events cannot be stored much longer", "磁盘快满了；很快将无法存储事件";
    temperature: "temperature", "温度";
    hot: "hot; give the box more air", "温度过高；请改善设备通风";
    power: "power and speed", "供电与速度";
    power_well: "as they should be", "正常";
    power_weak: "power supply too weak; use the board's own supply and a short cable", "供电不足；请使用原装电源和短线缆";
    slowed: "slowed down by heat; give the box more air", "因过热降速；请改善设备通风";
    memory_used: "memory of footfall", "footfall 占用内存";
    memory_free: "memory available", "可用内存";
    of_total: "of {}", "共 {}";
    version: "version", "版本";
    os: "operating system", "操作系统";
    kernel: "kernel", "内核";
    config: "config", "配置";
    unknown: "unknown", "未知";

    login_title: "Technician's PIN", "技术员 PIN";
    login_pin: "PIN", "PIN";
    login_button: "Log in", "登录";
    login_wrong: "Wrong PIN. Tries left: {}", "PIN 错误。剩余次数：{}";
    login_locked: "Too many wrong PINs. Try again in {}.", "PIN 错误次数过多。请在 {} 后重试。";
    login_forgotten: "Forgotten? On the box, run: footfall status pin --file FILE", "忘记 PIN？请在设备上运行：footfall status pin --file 文件";

    not_found: "Nothing is here.", "页面不存在。";
    seconds: "{} s", "{} 秒";
    minutes: "{} min", "{} 分钟";
    hours: "{} h", "{} 小时";
    days: "{} d", "{} 天";
}

impl Texts {
    /// What a kind of sensor is called.
    #[must_use]
    pub fn kind<'t>(&'t self, kind: &'t str) -> &'t str {
        match kind {
            "camera" => self.camera,
            "wifi" => self.wifi,
            "scanner" => self.scanner,
            "gpio" => self.gpio,
            other => other,
        }
    }

    /// What a stream is called.
    #[must_use]
    pub fn stream_name<'t>(&'t self, stream: &'t str) -> &'t str {
        match stream {
            "alarm" => self.alarm,
            "count" => self.count,
            "interval" => self.interval,
            "diagnostic" => self.diagnostic,
            other => other,
        }
    }

    /// Where the connection to the cloud stands.
    #[must_use]
    pub const fn link(&self, state: LinkState) -> &'static str {
        match state {
            LinkState::Off => self.link_off,
            LinkState::Connecting => self.link_connecting,
            LinkState::Connected => self.link_connected,
            LinkState::Disconnected => self.link_disconnected,
            LinkState::Refused => self.link_refused,
            LinkState::TlsError => self.link_tls,
            LinkState::Stopped => self.link_stopped,
        }
    }

    /// A length of time, to two units.
    #[must_use]
    pub fn duration(&self, seconds: u64) -> String {
        let two = |first: &str, a: u64, second: &str, b: u64| match b {
            0 => fill(first, a),
            b => format!("{} {}", fill(first, a), fill(second, b)),
        };
        match seconds {
            0..60 => fill(self.seconds, seconds),
            60..3600 => fill(self.minutes, seconds / 60),
            3600..86_400 => two(self.hours, seconds / 3600, self.minutes, seconds / 60 % 60),
            _ => two(self.days, seconds / 86_400, self.hours, seconds / 3600 % 24),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_text_is_empty_and_both_languages_have_the_same_gaps() {
        for (key, en, zh) in ALL {
            assert!(!en.trim().is_empty() && !zh.trim().is_empty(), "{key}");
            let gaps = |text: &str| text.matches("{}").count();
            assert_eq!(gaps(en), gaps(zh), "{key}");
            assert!(gaps(en) <= 1, "{key}");
        }
    }

    #[test]
    fn a_choice_comes_before_the_cookie_and_the_cookie_before_the_browser() {
        let mut headers = HeaderMap::new();
        assert_eq!(Lang::of(None, &headers), Lang::En);
        headers.insert(
            "accept-language",
            "zh-CN,zh;q=0.9,en;q=0.8".parse().unwrap(),
        );
        assert_eq!(Lang::of(None, &headers), Lang::Zh);
        headers.insert("cookie", "x=1; footfall_lang=en".parse().unwrap());
        assert_eq!(Lang::of(None, &headers), Lang::En);
        assert_eq!(Lang::of(Some("zh"), &headers), Lang::Zh);
        assert_eq!(Lang::of(Some("xx"), &headers), Lang::En);
    }

    #[test]
    fn the_browsers_wish_is_weighed() {
        assert_eq!(preferred("de, fr;q=0.9"), None);
        assert_eq!(preferred("de, en;q=0.3, zh-TW;q=0.5"), Some(Lang::Zh));
        assert_eq!(preferred("zh;q=0, en;q=0.1"), Some(Lang::En));
        assert_eq!(preferred("zh;q=x,,;;,"), None);
    }

    #[test]
    fn a_duration_is_said_in_at_most_two_units() {
        let said = |seconds| (EN.duration(seconds), ZH.duration(seconds));
        assert_eq!(said(59), ("59 s".into(), "59 秒".into()));
        assert_eq!(said(3600), ("1 h".into(), "1 小时".into()));
        assert_eq!(said(90_061), ("1 d 1 h".into(), "1 天 1 小时".into()));
    }
}
