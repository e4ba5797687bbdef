//! What is wrong with a camera, whatever its kind, in plain words.

use crate::event::CameraState;
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

/// What the pictures themselves tell.
pub(super) fn seen(state: CameraState) -> Words {
    match state {
        CameraState::Covered => Words::new(
            "something covers the camera or its picture is blurred; take away what hangs before it and clean the lens",
            "摄像头被遮挡或画面模糊；请移开遮挡物并清洁镜头",
        ),
        CameraState::Dark => Words::new(
            "the picture is dark, nobody can be seen; fine while the shop is closed, else switch on the light",
            "画面太暗，看不到人；若已打烊属正常，营业时请开灯",
        ),
        CameraState::Bright => Words::new(
            "the picture is blinded by light; turn the camera away from sun and lamps, or lower its exposure",
            "画面过曝；请让摄像头避开阳光和灯光，或降低曝光",
        ),
        CameraState::Moved => Words::new(
            "the camera sees another scene than before: it was turned, or something stands before it; turn it back, or \
             draw its lines anew and save",
            "画面与之前不同：摄像头被转动，或前方有物体；请转回原位，或重新画线并保存",
        ),
        CameraState::Slow => Words::new(
            "too few pictures a second to follow people; lower the camera's size, or take a lighter model",
            "每秒画面太少，无法跟踪行人；请降低摄像头分辨率，或换用更轻的模型",
        ),
        CameraState::Ok => counting(),
        CameraState::Lost => no_picture(),
        CameraState::Frozen => frozen(),
    }
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
