use super::super::manifest::Layout;
use super::*;

fn input(width: u32, height: u32, resize: Resize) -> Input {
    Input {
        width,
        height,
        layout: Layout::Nchw,
        colour: Colour::Rgb,
        resize,
        align: Align::TopLeft,
        pad: 114,
        scale: 1.0,
        mean: [0.0; 3],
        std: [1.0; 3],
    }
}

fn frame(width: u32, height: u32, pixel: impl Fn(u32, u32) -> [u8; 3]) -> Frame {
    let pixels = (0..height).flat_map(|y| (0..width).map(move |x| (x, y)));
    Frame {
        width,
        height,
        rgb: pixels.flat_map(|(x, y)| pixel(x, y)).collect(),
        ..Frame::default()
    }
}

fn filled(letterbox: &mut Letterbox, frame: &Frame) -> (Vec<f32>, Placement) {
    let mut tensor = vec![f32::NAN; letterbox.tensor_len()];
    let placement = letterbox.fill(frame, &mut tensor).unwrap();
    (tensor, placement)
}

#[test]
fn a_letterboxed_frame_lies_top_left_and_the_rest_is_padding() {
    let mut letterbox = Letterbox::new(input(64, 64, Resize::Letterbox));
    let (tensor, placement) = filled(&mut letterbox, &frame(128, 64, |_, _| [10, 20, 30]));
    for (plane, colour) in tensor.chunks_exact(64 * 64).zip([10.0, 20.0, 30.0]) {
        assert!(plane[..64 * 32].iter().all(|value| *value == colour));
        assert!(plane[64 * 32..].iter().all(|value| *value == 114.0));
    }
    let back = placement.to_frame(Rect {
        x0: 16.0,
        y0: 8.0,
        x1: 32.0,
        y1: 24.0,
    });
    assert_eq!(
        back,
        Some(Rect {
            x0: 32.0,
            y0: 16.0,
            x1: 64.0,
            y1: 48.0
        })
    );
}

#[test]
fn a_centred_frame_has_padding_on_both_sides() {
    let centred = Input {
        align: Align::Center,
        ..input(64, 64, Resize::Letterbox)
    };
    let mut letterbox = Letterbox::new(centred);
    let (tensor, placement) = filled(&mut letterbox, &frame(64, 128, |_, _| [50; 3]));
    let row: Vec<f32> = tensor[64..128].to_vec();
    assert!(
        row[..16]
            .iter()
            .chain(&row[48..])
            .all(|value| *value == 114.0)
    );
    assert!(row[16..48].iter().all(|value| *value == 50.0));
    let back = placement.to_frame(Rect {
        x0: 16.0,
        y0: 0.0,
        x1: 48.0,
        y1: 64.0,
    });
    assert_eq!(
        back,
        Some(Rect {
            x0: 0.0,
            y0: 0.0,
            x1: 64.0,
            y1: 128.0
        })
    );
}

#[test]
fn channels_are_ordered_and_normalised_as_the_manifest_says() {
    let bgr = Input {
        colour: Colour::Bgr,
        scale: 0.5,
        mean: [1.0, 2.0, 3.0],
        std: [2.0, 4.0, 8.0],
        ..input(16, 16, Resize::Stretch)
    };
    let mut letterbox = Letterbox::new(bgr);
    let (tensor, _) = filled(&mut letterbox, &frame(16, 16, |_, _| [40, 80, 160]));
    let first: Vec<f32> = tensor.chunks_exact(256).map(|plane| plane[0]).collect();
    assert_eq!(
        first,
        [(80.0 - 1.0) / 2.0, (40.0 - 2.0) / 4.0, (20.0 - 3.0) / 8.0]
    );
}

#[test]
fn a_change_of_the_frames_size_repaints_the_border() {
    let mut letterbox = Letterbox::new(input(64, 64, Resize::Letterbox));
    let mut tensor = vec![0.0; letterbox.tensor_len()];
    letterbox
        .fill(&frame(64, 64, |_, _| [1; 3]), &mut tensor)
        .unwrap();
    letterbox
        .fill(&frame(64, 32, |_, _| [2; 3]), &mut tensor)
        .unwrap();
    assert_eq!((tensor[0], tensor[64 * 32]), (2.0, 114.0));
}

#[test]
fn a_box_beyond_the_frame_is_clipped_and_one_outside_is_gone() {
    let mut letterbox = Letterbox::new(input(64, 64, Resize::Letterbox));
    let (_, placement) = filled(&mut letterbox, &frame(128, 64, |_, _| [0; 3]));
    let clipped = placement.to_frame(Rect {
        x0: -10.0,
        y0: 10.0,
        x1: 10.0,
        y1: 60.0,
    });
    assert_eq!(
        clipped,
        Some(Rect {
            x0: 0.0,
            y0: 20.0,
            x1: 20.0,
            y1: 64.0
        })
    );
    assert_eq!(
        placement.to_frame(Rect {
            x0: 0.0,
            y0: 40.0,
            x1: 10.0,
            y1: 60.0
        }),
        None
    );
}

#[test]
fn a_frame_that_is_none_is_an_error_and_a_very_thin_one_is_not() {
    let mut letterbox = Letterbox::new(input(64, 64, Resize::Letterbox));
    let mut tensor = vec![0.0; letterbox.tensor_len()];
    let mut short = frame(16, 16, |_, _| [0; 3]);
    short.rgb.pop();
    assert!(
        letterbox
            .fill(&short, &mut tensor)
            .unwrap_err()
            .contains("16×16")
    );
    assert!(letterbox.fill(&Frame::default(), &mut tensor).is_err());
    for thin in [frame(1000, 1, |_, _| [9; 3]), frame(1, 1000, |_, _| [9; 3])] {
        letterbox.fill(&thin, &mut tensor).unwrap();
        assert_eq!(tensor[0], 9.0);
    }
    assert!(
        letterbox
            .fill(&frame(8, 8, |_, _| [0; 3]), &mut tensor[1..])
            .is_err()
    );
}
