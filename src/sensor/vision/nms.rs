//! Non-maximum suppression: of boxes that cover the same object, keep the best.
//!
//! Pure and deterministic: the same boxes in any order give the same answer.

use std::cmp::Ordering;

use super::{Detection, Rect};

/// Boxes looked at per frame, the best by score. A broken model may call every cell a person;
/// the work stays bounded (300 boxes are 45,000 comparisons at most).
pub const MAX_CANDIDATES: usize = 300;

/// How much of two boxes of one class may be the same.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Intersection over union, 0..=1.
    pub iou: f32,
    /// Share of the smaller box that lies in the other, 0..=1; 1: all of it. A head's box in that of head and
    /// shoulders has a small IoU, and is the same person.
    pub inside: f32,
}

impl Limits {
    fn exceeded(self, a: &Rect, b: &Rect) -> bool {
        let iou = a.iou(b);
        if iou <= 0.0 {
            return false;
        }
        // Both areas are sum · iou / (1 + iou) in common.
        let both = (a.area() + b.area()) * iou / (1.0 + iou);
        iou > self.iou || self.inside < 1.0 && both > self.inside * a.area().min(b.area())
    }
}

/// Sorts `boxes` best score first and drops each that has more in common with a better one of its class than `limits`
/// say. Weak boxes never influence stronger ones, so a caller may filter by score before or after with the same result.
pub fn suppress(boxes: &mut Vec<Detection>, limits: Limits) {
    boxes.sort_unstable_by(best_first);
    boxes.truncate(MAX_CANDIDATES);
    let mut kept = 0;
    for next in 0..boxes.len() {
        let candidate = boxes[next];
        let covered = boxes[..kept].iter().any(|better| {
            better.class == candidate.class && limits.exceeded(&better.rect, &candidate.rect)
        });
        if !covered {
            boxes[kept] = candidate;
            kept += 1;
        }
    }
    boxes.truncate(kept);
}

/// Ties are broken by class and position, so that the order never depends on the input's.
fn best_first(a: &Detection, b: &Detection) -> Ordering {
    b.score
        .total_cmp(&a.score)
        .then(a.class.cmp(&b.class))
        .then(a.rect.x0.total_cmp(&b.rect.x0))
        .then(a.rect.y0.total_cmp(&b.rect.y0))
        .then(a.rect.x1.total_cmp(&b.rect.x1))
        .then(a.rect.y1.total_cmp(&b.rect.y1))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const HALF: Limits = Limits {
        iou: 0.5,
        inside: 1.0,
    };

    fn person(x0: f32, score: f32) -> Detection {
        Detection {
            rect: Rect {
                x0,
                y0: 0.0,
                x1: x0 + 10.0,
                y1: 20.0,
            },
            score,
            class: 0,
        }
    }

    #[test]
    fn of_two_boxes_on_one_person_the_better_stays() {
        let mut boxes = vec![person(1.0, 0.6), person(0.0, 0.9), person(50.0, 0.5)];
        suppress(&mut boxes, HALF);
        assert_eq!(boxes, [person(0.0, 0.9), person(50.0, 0.5)]);
    }

    #[test]
    fn a_head_in_its_body_is_dropped_only_where_that_is_wanted_and_a_neighbour_never() {
        let rect = Rect {
            x0: 3.0,
            y0: 1.0,
            x1: 8.0,
            y1: 6.0,
        };
        let head = |score| Detection {
            rect,
            score,
            class: 0,
        };
        let neighbour = person(7.0, 0.3);
        let left = |score, inside| {
            let mut boxes = vec![person(0.0, 0.6), head(score), neighbour];
            suppress(&mut boxes, Limits { inside, ..HALF });
            boxes
        };
        assert_eq!(left(0.5, 1.0).len(), 3);
        assert_eq!(left(0.5, 0.8), [person(0.0, 0.6), neighbour]);
        assert_eq!(left(0.9, 0.8), [head(0.9), neighbour]);
    }

    #[test]
    fn boxes_of_different_classes_do_not_suppress_each_other() {
        let dog = Detection {
            class: 16,
            ..person(0.0, 0.8)
        };
        let mut boxes = vec![dog, person(0.0, 0.9)];
        suppress(&mut boxes, HALF);
        assert_eq!(boxes.len(), 2);
    }

    #[test]
    fn when_every_cell_is_a_person_only_the_best_are_looked_at() {
        let mut boxes: Vec<_> = (0..5000u16)
            .map(|i| person(f32::from(i) * 100.0, f32::from(i) / 5000.0))
            .collect();
        suppress(&mut boxes, HALF);
        assert_eq!(boxes.len(), MAX_CANDIDATES);
        assert_eq!(boxes[0].score, 4999.0 / 5000.0);
    }

    proptest! {
        #[test]
        fn the_order_of_the_input_does_not_matter_and_survivors_do_not_overlap(
            mut boxes in prop::collection::vec(
                (0..40u8, 0..4u8, 0..2u16).prop_map(|(x, score, class)| Detection {
                    class,
                    ..person(f32::from(x), f32::from(score) / 4.0)
                }),
                0..60,
            ),
        ) {
            let limits = Limits { iou: 0.4, ..HALF };
            let mut reversed: Vec<_> = boxes.iter().rev().copied().collect();
            suppress(&mut boxes, limits);
            suppress(&mut reversed, limits);
            prop_assert_eq!(&boxes, &reversed);
            for (i, a) in boxes.iter().enumerate() {
                for b in &boxes[i + 1..] {
                    prop_assert!(a.score >= b.score);
                    prop_assert!(a.class != b.class || a.rect.iou(&b.rect) <= 0.4);
                }
            }
        }
    }
}
