use proptest::prelude::*;

use super::*;

/// A decoder for outputs of these shapes, called `a`, `b`, …
pub(super) fn head(decoder: Decoder, input: (u32, u32), shapes: &[&[i64]]) -> Result<Head, Misfit> {
    named(decoder, input, shapes, &[])
}

fn named(
    decoder: Decoder,
    input: (u32, u32),
    shapes: &[&[i64]],
    names: &[&str],
) -> Result<Head, Misfit> {
    let output = |(name, shape): (char, &&[i64])| Output {
        name: name.to_string(),
        holds: "float32".to_owned(),
        shape: shape.to_vec(),
    };
    let outputs: Vec<Output> = ('a'..).zip(shapes).map(output).collect();
    let names: Vec<String> = names.iter().map(ToString::to_string).collect();
    let wish = Wish {
        decoder,
        input,
        bins: 8,
        names: &names,
    };
    Head::fit(&wish, &outputs)
}

/// What a decoder finds with a floor of 0.1.
pub(super) fn boxes(head: &Head, outputs: &[&[f32]], wanted: &[u16]) -> Vec<Detection> {
    let mut out = Vec::new();
    head.decode(outputs, 0.1, wanted, &mut out);
    out
}

fn refusal(decoder: Decoder, shapes: &[&[i64]], names: &[&str]) -> String {
    named(decoder, (320, 320), shapes, names)
        .err()
        .unwrap_or_else(|| panic!("{decoder:?} takes {shapes:?}"))
        .to_string()
}

#[test]
fn a_head_fits_only_outputs_of_its_familys_shape_and_says_what_there_is_instead() {
    let classes = |decoder, shape: &[i64]| head(decoder, (320, 320), &[shape]).unwrap().classes();
    assert_eq!(classes(Decoder::Yolox, &[1, 2100, 85]), 80);
    assert_eq!(classes(Decoder::Fastestdet, &[1, 6, 20, 20]), 1);
    assert_eq!(classes(Decoder::Yolov8, &[1, 84, 2100]), 80);
    assert_eq!(classes(Decoder::Yolov8, &[1, 2100, 5]), 1);
    // With the stride 4 too.
    assert_eq!(classes(Decoder::Yolov8, &[1, 5, 8500]), 1);
    assert_eq!(classes(Decoder::Nanodet, &[1, 2100, 112]), 80);
    assert_eq!(classes(Decoder::Nanodet, &[1, 2125, 33]), 1);

    for (decoder, expected, wrong) in [
        (
            Decoder::Yolox,
            "yolox reads an output of 1×2100×(5 + classes)",
            [
                &[1, 2099, 85][..],
                &[1, 2100, 5],
                &[2, 2100, 85],
                &[1, 85, 20, 20],
                &[],
            ],
        ),
        (
            Decoder::Fastestdet,
            "fastestdet reads an output of 1×(5 + classes)×rows×columns",
            [
                &[1, 85, 20],
                &[1, 5, 20, 20],
                &[1, 85, 0, 20],
                &[1, 2100, 85],
                &[-1, 85, 20, 20],
            ],
        ),
        (
            Decoder::Yolov8,
            "yolov8 reads an output of 1×(4 + classes)×2100 or 1×2100×(4 + classes)",
            [
                &[1, 84, 2099],
                &[1, 4, 2100],
                &[1, 2100, 4],
                &[1, 84, 8400],
                &[2, 84, 2100],
            ],
        ),
        (
            Decoder::Nanodet,
            "nanodet reads an output of 1×2100×(classes + 32), or apart",
            [
                &[1, 2100, 32],
                &[1, 2099, 112],
                &[1, 112, 2100],
                &[1, 1600, 80],
                &[1, 1600, 32],
            ],
        ),
    ] {
        for shape in wrong {
            let text = refusal(decoder, &[shape], &[]);
            assert!(text.starts_with("decoder: "), "{text}");
            assert!(text.contains(expected), "{text}");
            let has = format!("the model has a (float32 {})", outputs::times(shape));
            assert!(text.ends_with(&has), "{text}");
        }
    }
    assert!(refusal(Decoder::Yolox, &[], &[]).ends_with("the model has no output"));
}

#[test]
fn of_several_outputs_the_one_that_fits_is_read_and_a_choice_is_the_manifests() {
    let shapes: [&[i64]; 3] = [&[1, 10], &[1, 2100, 6], &[1, 2100, 85]];
    let yolox = |names: &[&str]| named(Decoder::Yolox, (320, 320), &shapes, names);
    assert_eq!(yolox(&["b"]).unwrap().used(), [1]);
    assert_eq!(yolox(&["c"]).unwrap().classes(), 80);
    let only = head(Decoder::Yolox, (320, 320), &shapes[..2]).unwrap();
    assert_eq!(only.used(), [1]);
    let text = refusal(Decoder::Yolox, &shapes, &[]);
    assert!(
        text.starts_with("outputs: name the one to read as yolox"),
        "{text}"
    );
    assert!(
        text.contains("b (float32 1×2100×6), c (float32 1×2100×85)"),
        "{text}"
    );
    let text = refusal(Decoder::Yolox, &shapes, &["a"]);
    assert!(text.ends_with("the model has a (float32 1×10)"), "{text}");
    let text = refusal(Decoder::Yolox, &shapes, &["d"]);
    assert!(
        text.starts_with("outputs: there is no \"d\", the model has a (float32 1×10), b"),
        "{text}"
    );
}

#[test]
fn six_outputs_are_found_by_shape_unless_as_many_classes_as_distances_leave_a_choice() {
    let shapes = |classes: i64| [1600, 400, 100].map(|cells| [[1, cells, classes], [1, cells, 32]]);
    let fit = |classes, names: &[&str]| {
        let shapes = shapes(classes).concat();
        let shapes: Vec<&[i64]> = shapes.iter().map(<[i64; 3]>::as_slice).collect();
        named(Decoder::Nanodet, (320, 320), &shapes, names)
    };
    assert_eq!(fit(80, &[]).unwrap().used(), [0, 2, 4, 1, 3, 5]);
    let text = fit(32, &[]).err().unwrap().to_string();
    assert!(text.contains("named in `outputs`"), "{text}");
    let names = ["a", "c", "e", "b", "d", "f"];
    let named = fit(32, &names).unwrap();
    assert_eq!(
        (named.used(), named.classes()),
        (&[0, 2, 4, 1, 3, 5][..], 32)
    );
    assert!(fit(80, &["b", "d", "f", "a", "c", "e"]).is_err());
}

proptest! {
    #[test]
    fn whatever_numbers_a_model_puts_out_only_finite_wanted_boxes_come_of_it(
        values in prop::collection::vec(any::<f32>(), 84 * 34),
    ) {
        let cases: [(_, &[i64]); 6] = [
            (Decoder::Yolox, &[1, 84, 7]),
            (Decoder::Fastestdet, &[1, 7, 4, 4]),
            (Decoder::Yolov8, &[1, 6, 84]),
            (Decoder::Yolov8, &[1, 84, 6]),
            (Decoder::Nanodet, &[1, 84, 34]),
            (Decoder::Nanodet, &[1, 85, 34]),
        ];
        for (decoder, shape) in cases {
            let head = head(decoder, (64, 64), &[shape]).unwrap();
            for found in boxes(&head, &[&values], &[1]) {
                prop_assert!((0.1..=1.0).contains(&found.score));
                prop_assert_eq!(found.class, 1);
                let Rect { x0, y0, x1, y1 } = found.rect;
                prop_assert!([x0, y0, x1, y1].iter().all(|v| v.is_finite()));
            }
        }
    }
}
