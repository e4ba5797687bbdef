//! Constant-velocity Kalman filters for a box.
//!
//! With diagonal noise the usual eight-dimensional box filter falls apart into four independent
//! filters of position and velocity, so that is what is written here: one small filter, used four times.
//! Equations: Bar-Shalom, Li, Kirubarajan, "Estimation with Applications to Tracking and Navigation"
//! (2001), section 6.3.2 (discrete white-noise acceleration). Time is in seconds.

use crate::sensor::vision::Rect;

/// One coordinate: position and velocity with their covariance.
#[derive(Clone, Copy, Debug)]
struct Axis {
    x: f32,
    v: f32,
    p_xx: f32,
    p_xv: f32,
    p_vv: f32,
}

impl Axis {
    fn new(x: f32, position_std: f32, velocity_std: f32) -> Self {
        Self {
            x,
            v: 0.0,
            p_xx: position_std.powi(2),
            p_xv: 0.0,
            p_vv: velocity_std.powi(2),
        }
    }

    fn predict(&mut self, dt: f32, acceleration_std: f32) {
        let q = acceleration_std.powi(2);
        let dt2 = dt * dt;
        self.x += self.v * dt;
        self.p_xx += dt * (2.0 * self.p_xv + dt * self.p_vv) + q * dt2 * dt2 / 4.0;
        self.p_xv += dt * self.p_vv + q * dt2 * dt / 2.0;
        self.p_vv += q * dt2;
    }

    fn update(&mut self, z: f32, measurement_std: f32) {
        let s = self.p_xx + measurement_std.powi(2);
        let (k_x, k_v) = (self.p_xx / s, self.p_xv / s);
        let innovation = z - self.x;
        self.x += k_x * innovation;
        self.v += k_v * innovation;
        self.p_vv -= k_v * self.p_xv;
        self.p_xv *= 1.0 - k_x;
        self.p_xx *= 1.0 - k_x;
    }
}

/// Standard deviations, in box heights (and box heights per second, per second squared).
/// A person is about 1.7 m tall, walks 1.4 m/s and stops within half a second.
const CENTRE_STD: f32 = 0.05;
const CENTRE_SPEED_STD: f32 = 1.0;
const CENTRE_ACCELERATION_STD: f32 = 1.2;
/// The calm estimate takes people for steady walkers: a box that jumps for a frame or two hardly moves it.
const CALM_ACCELERATION_STD: f32 = 0.4;
/// A box's size changes slowly but is measured badly: arms, bags and occlusion move its edges.
const SIZE_STD: f32 = 0.06;
const SIZE_SPEED_STD: f32 = 0.1;
const SIZE_ACCELERATION_STD: f32 = 0.25;

/// A box that moves. Its centre is estimated twice: nimbly, to find the person again on the next frame, and calmly,
/// to tell on which side of a line they are.
#[derive(Clone, Copy, Debug)]
pub struct BoxFilter {
    /// x, y.
    centre: [Axis; 2],
    /// x, y.
    calm: [Axis; 2],
    /// Width, height.
    size: [Axis; 2],
}

impl BoxFilter {
    /// A box seen for the first time, at rest until it is seen again.
    #[must_use]
    pub fn new(rect: &Rect) -> Self {
        let h = rect.height().max(1.0);
        let centre = |x| Axis::new(x, CENTRE_STD * h, CENTRE_SPEED_STD * h);
        let size = |x| Axis::new(x, SIZE_STD * h, SIZE_SPEED_STD * h);
        let [[cx, cy], [w, hh]] = centre_form(rect);
        Self {
            centre: [centre(cx), centre(cy)],
            calm: [centre(cx), centre(cy)],
            size: [size(w), size(hh)],
        }
    }

    /// Moves the estimate `dt` seconds ahead.
    pub fn predict(&mut self, dt: f32) {
        let h = self.height();
        for axis in &mut self.centre {
            axis.predict(dt, CENTRE_ACCELERATION_STD * h);
        }
        for axis in &mut self.calm {
            axis.predict(dt, CALM_ACCELERATION_STD * h);
        }
        for axis in &mut self.size {
            // A size that is extrapolated without being seen soon becomes absurd: let it rest.
            axis.v *= 0.9;
            axis.predict(dt, SIZE_ACCELERATION_STD * h);
        }
    }

    /// Corrects the estimate by an observed box.
    pub fn update(&mut self, rect: &Rect) {
        let h = self.height();
        let [centre, size] = centre_form(rect);
        for axes in [&mut self.centre, &mut self.calm] {
            for (axis, z) in axes.iter_mut().zip(centre) {
                axis.update(z, CENTRE_STD * h);
            }
        }
        for (axis, z) in self.size.iter_mut().zip(size) {
            axis.update(z, SIZE_STD * h);
        }
    }

    /// The estimated box.
    #[must_use]
    pub fn rect(&self) -> Rect {
        self.rect_around(&self.centre)
    }

    /// The estimated box about the calm centre.
    #[must_use]
    pub fn calm_rect(&self) -> Rect {
        self.rect_around(&self.calm)
    }

    fn rect_around(&self, [cx, cy]: &[Axis; 2]) -> Rect {
        let [w, h] = self.size.map(|axis| axis.x.max(1.0));
        Rect {
            x0: cx.x - w / 2.0,
            y0: cy.x - h / 2.0,
            x1: cx.x + w / 2.0,
            y1: cy.x + h / 2.0,
        }
    }

    /// Estimated velocity of the centre, pixels per second.
    #[must_use]
    pub fn velocity(&self) -> (f32, f32) {
        (self.centre[0].v, self.centre[1].v)
    }

    fn height(&self) -> f32 {
        self.size[1].x.max(1.0)
    }
}

/// Centre and size.
fn centre_form(rect: &Rect) -> [[f32; 2]; 2] {
    [
        [(rect.x0 + rect.x1) / 2.0, (rect.y0 + rect.y1) / 2.0],
        [rect.width(), rect.height()],
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rect_at(x: f32) -> Rect {
        Rect {
            x0: x,
            y0: 100.0,
            x1: x + 40.0,
            y1: 200.0,
        }
    }

    #[test]
    fn a_box_in_steady_motion_is_predicted_where_it_will_be() {
        let mut filter = BoxFilter::new(&rect_at(0.0));
        for step in 1..=30 {
            filter.predict(0.1);
            filter.update(&rect_at(step as f32 * 8.0));
        }
        assert!(
            (filter.velocity().0 - 80.0).abs() < 1.0,
            "{:?}",
            filter.velocity()
        );
        filter.predict(0.5);
        assert!(
            (filter.rect().x0 - (240.0 + 40.0)).abs() < 1.5,
            "{:?}",
            filter.rect()
        );
    }

    #[test]
    fn two_half_steps_predict_the_same_place_as_one_whole_step() {
        let mut one = BoxFilter::new(&rect_at(0.0));
        one.predict(0.1);
        one.update(&rect_at(10.0));
        let mut two = one;
        one.predict(0.4);
        two.predict(0.2);
        two.predict(0.2);
        assert!((one.rect().x0 - two.rect().x0).abs() < 0.01);
    }

    #[test]
    fn a_box_that_jumps_for_a_frame_hardly_moves_the_calm_estimate() {
        let mut filter = BoxFilter::new(&rect_at(0.0));
        for step in 1..=32 {
            filter.predict(0.1);
            filter.update(&rect_at(if step > 31 { 30.0 } else { 0.0 }));
        }
        let (nimble, calm) = (filter.rect().x0, filter.calm_rect().x0);
        assert!(nimble > 12.0 && calm < 10.0, "{nimble} {calm}");
    }

    #[test]
    fn the_calm_estimate_does_not_lag_behind_a_steady_walker() {
        let mut filter = BoxFilter::new(&rect_at(0.0));
        for step in 1..=30 {
            filter.predict(0.1);
            filter.update(&rect_at(step as f32 * 8.0));
        }
        assert!((filter.calm_rect().x0 - 240.0).abs() < 1.5, "{filter:?}");
    }
}
