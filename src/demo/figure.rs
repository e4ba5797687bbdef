//! A walking person as a bundle of tapered capsules in the room. Pure and seeded.

use std::cell::Cell;

use fastrand::Rng;

use super::backdrop::{Colour, hsv};
use super::path::Pose;

/// A rounded limb between two points of the room.
#[derive(Clone, Copy, Debug)]
pub struct Capsule {
    /// Metres; see [`super::scene`].
    pub from: [f32; 3],
    pub to: [f32; 3],
    /// Radius at either end, metres.
    pub radii: (f32, f32),
    pub colour: Colour,
    /// Part of head or torso: what is left of somebody who is seen from above.
    pub core: bool,
}

/// What somebody looks like.
#[derive(Clone, Copy, Debug)]
pub struct Looks {
    skin: Colour,
    hair: Colour,
    long_hair: bool,
    hat: Option<Colour>,
    top: Colour,
    sleeve: Colour,
    bottom: Colour,
    skirt: bool,
    shoes: Colour,
    backpack: Option<Colour>,
    bag: Option<Colour>,
    /// Girth, around 1.
    girth: f32,
}

impl Looks {
    #[must_use]
    pub fn new(seed: u64) -> Self {
        let mut rng = Rng::with_seed(seed);
        let cloth = |rng: &mut Rng| match rng.u8(0..5) {
            0 => hsv(0.6, 0.1 * rng.f32(), 0.12 + 0.2 * rng.f32()),
            1 => hsv(rng.f32(), 0.12 * rng.f32(), 0.65 + 0.3 * rng.f32()),
            _ => hsv(rng.f32(), 0.3 + 0.5 * rng.f32(), 0.3 + 0.5 * rng.f32()),
        };
        let maybe = |rng: &mut Rng, one_in: u8| {
            let colour = cloth(rng);
            (rng.u8(0..one_in) == 0).then_some(colour)
        };
        let top = cloth(&mut rng);
        let skin = hsv(
            0.06 + 0.02 * rng.f32(),
            0.3 + 0.25 * rng.f32(),
            0.35 + 0.5 * rng.f32(),
        );
        Self {
            skin,
            hair: hsv(0.07, 0.5 * rng.f32(), 0.1 + 0.5 * rng.f32() * rng.f32()),
            long_hair: rng.bool(),
            hat: maybe(&mut rng, 6),
            top,
            sleeve: if rng.u8(0..4) == 0 { skin } else { top },
            bottom: match rng.u8(0..3) {
                0 => hsv(0.6, 0.45, 0.25 + 0.2 * rng.f32()),
                1 => hsv(0.1, 0.2, 0.2 + 0.4 * rng.f32()),
                _ => cloth(&mut rng),
            },
            skirt: rng.u8(0..5) == 0,
            shoes: hsv(0.05, 0.3, 0.1 + 0.6 * rng.f32() * rng.f32()),
            backpack: maybe(&mut rng, 5),
            bag: maybe(&mut rng, 4),
            girth: 0.9 + 0.3 * rng.f32(),
        }
    }
}

/// The body of somebody `height` metres tall in that pose.
pub fn body(pose: &Pose, height: f32, looks: &Looks, limbs: &mut Vec<Capsule>) {
    limbs.clear();
    let (fx, fz) = pose.facing;
    // Children have larger heads and slighter bodies.
    let size = height / 1.72;
    let head = 0.55 + 0.45 * size;
    let wide = size * looks.girth;
    let place = |right: f32, y: f32, front: f32| {
        [
            pose.x + right * fz + front * fx,
            y,
            pose.z - right * fx + front * fz,
        ]
    };
    let core = Cell::new(false);
    let mut limb = |from: [f32; 3], to: [f32; 3], radii: (f32, f32), colour: Colour| {
        limbs.push(Capsule {
            from,
            to,
            radii,
            colour,
            core: core.get(),
        });
    };
    let (swing, bend) = (pose.phase.sin() * pose.stride, pose.phase.cos());
    let (thigh, shin, ankle) = (0.245 * height, 0.235 * height, 0.045 * height);
    let leg = |side: f32| {
        let angle = 0.44 * swing * side;
        let flex = angle - 0.08 - 0.75 * (bend * side).max(0.0) * pose.stride;
        let knee = (thigh * angle.sin(), -thigh * angle.cos());
        let foot = (knee.0 + shin * flex.sin(), knee.1 - shin * flex.cos());
        (knee, foot)
    };
    // The hip sinks until the lower foot stands on the floor.
    let reach = leg(1.0).1.1.min(leg(-1.0).1.1);
    let hip = ankle - reach;
    let lift = hip - (thigh + shin + ankle);
    let up = |share: f32| share * height + lift;
    for side in [1.0, -1.0] {
        let x = side * 0.085 * wide;
        let (knee, foot) = leg(side);
        let (knee_at, foot_at) = (
            place(x, hip + knee.1, knee.0),
            place(x, hip + foot.1, foot.0),
        );
        let calf = if looks.skirt {
            looks.skin
        } else {
            looks.bottom
        };
        limb(
            place(x, hip, 0.0),
            knee_at,
            (0.095 * wide, 0.062 * wide),
            looks.bottom,
        );
        limb(knee_at, foot_at, (0.062 * wide, 0.042 * size), calf);
        let toe = place(x * 1.2, hip + foot.1 - 0.015 * size, foot.0 + 0.13 * size);
        limb(foot_at, toe, (0.048 * size, 0.038 * size), looks.shoes);
    }
    if looks.skirt {
        limb(
            place(0.0, hip, 0.0),
            place(0.0, hip - thigh * 0.95, 0.0),
            (0.15 * wide, 0.21 * wide),
            looks.bottom,
        );
    }
    core.set(true);
    let (waist, chest, shoulder) = (up(0.56), up(0.73), up(0.80));
    limb(
        place(-0.07 * wide, up(0.52), 0.0),
        place(0.07 * wide, up(0.52), 0.0),
        (0.105 * wide, 0.105 * wide),
        looks.bottom,
    );
    for side in [1.0, 0.0, -1.0] {
        // The middle one fills the furrow between the flanks.
        let thick = if side == 0.0 { 0.125 } else { 0.112 };
        limb(
            place(side * 0.055 * wide, waist, 0.0),
            place(side * 0.085 * wide, chest, 0.0),
            (0.94 * thick * wide, thick * wide),
            looks.top,
        );
    }
    limb(
        place(-0.135 * wide, shoulder, 0.0),
        place(0.135 * wide, shoulder, 0.0),
        (0.072 * size, 0.072 * size),
        looks.top,
    );
    core.set(false);
    for side in [1.0, -1.0] {
        let angle = -0.5 * swing * side + 0.05;
        let (upper, lower) = (0.165 * height, 0.15 * height);
        let x = side * 0.19 * wide;
        let elbow = (shoulder - upper * angle.cos(), upper * angle.sin());
        let hand = (
            elbow.0 - lower * (angle + 0.35).cos(),
            elbow.1 + lower * (angle + 0.35).sin(),
        );
        let elbow_at = place(x + side * 0.03 * size, elbow.0, elbow.1);
        let hand_at = place(x + side * 0.02 * size, hand.0, hand.1);
        limb(
            place(x, shoulder, 0.0),
            elbow_at,
            (0.056 * wide, 0.045 * size),
            looks.top,
        );
        limb(
            elbow_at,
            hand_at,
            (0.043 * size, 0.034 * size),
            looks.sleeve,
        );
        limb(hand_at, hand_at, (0.043 * size, 0.043 * size), looks.skin);
        if let (Some(bag), true) = (looks.bag, side > 0.0) {
            let low = place(x + 0.06, hand.0 - 0.22 * size, hand.1);
            limb(
                place(x + 0.06, hand.0 - 0.1 * size, hand.1),
                low,
                (0.07 * size, 0.11 * size),
                bag,
            );
        }
    }
    if let Some(backpack) = looks.backpack {
        limb(
            place(0.0, up(0.6), -0.16 * wide),
            place(0.0, up(0.76), -0.15 * wide),
            (0.12 * size, 0.11 * size),
            backpack,
        );
    }
    core.set(true);
    let (skull, crown) = (0.088 * head, height + lift - 0.098 * head);
    limb(
        place(0.0, shoulder, 0.0),
        place(0.0, crown - 0.08 * head, 0.01),
        (0.052 * size, 0.05 * size),
        looks.skin,
    );
    limb(
        place(0.0, crown - 0.075 * head, 0.03 * head),
        place(0.0, crown - 0.01, 0.012 * head),
        (skull * 0.88, skull),
        looks.skin,
    );
    limb(
        place(0.0, crown - 0.03 * head, -0.028 * head),
        place(0.0, crown, -0.012 * head),
        (skull, 0.098 * head),
        looks.hair,
    );
    if looks.long_hair {
        limb(
            place(0.0, crown - 0.04 * head, -0.045 * head),
            place(0.0, shoulder + 0.01, -0.07 * head),
            (skull, 0.07 * head),
            looks.hair,
        );
    }
    core.set(false);
    if let Some(hat) = looks.hat {
        limb(
            place(0.0, crown + 0.012 * head, -0.005),
            place(0.0, crown + 0.012 * head, 0.06 * head),
            (0.1 * head, 0.075 * head),
            hat,
        );
    }
}
