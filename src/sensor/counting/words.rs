//! What is wrong with a camera, whatever its kind, in plain words.

use crate::words::Words;

pub(super) fn counting() -> Words {
    Words::new("counting", "正在计数")
}

pub(super) fn no_picture() -> Words {
    Words::new(
        "no picture; check the camera's cable and power, unplug it and plug it in again",
        "没有画面；请检查摄像头的连线和电源，或重新插拔",
    )
}

pub(super) fn frozen() -> Words {
    Words::new(
        "the picture does not change any more; switch the camera off and on again",
        "画面已静止不变；请将摄像头断电后重新通电",
    )
}

pub(super) fn over() -> Words {
    Words::new(
        "the recording is over; set `repeat = true` to play it again",
        "录像已播放完毕；如需循环播放，请设置 repeat = true",
    )
}

/// `why`: what the detector said.
pub(super) fn not_analysed(why: &str) -> Words {
    Words::new(
        why,
        format!("画面分析失败（{why}）；请用 footfall check 检查配置"),
    )
}
