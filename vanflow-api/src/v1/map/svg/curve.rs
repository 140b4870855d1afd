//! Curves that edges and links are drawn along.

/// A place in the picture.
pub(super) type Point = (f64, f64);

/// A cubic Bézier curve: where it begins, two points that pull it, and where it ends.
#[derive(Clone, Copy, Debug)]
pub(super) struct Curve(pub(super) [Point; 4]);

impl Curve {
    /// The point at a share of the way.
    pub(super) fn at(&self, share: f64) -> Point {
        let rest = 1.0 - share;
        let weights = [
            rest * rest * rest,
            3.0 * rest * rest * share,
            3.0 * rest * share * share,
            share * share * share,
        ];
        let sum = |of: fn(&Point) -> f64| {
            self.0.iter().zip(weights).map(|(point, weight)| of(point) * weight).sum()
        };
        (sum(|point| point.0), sum(|point| point.1))
    }

    /// The curve without its last pixels, and the straight way from there to where it ends.
    pub(super) fn without_tip(&self, length: f64) -> (Self, (Point, Point)) {
        let [from, leaving, arriving, to] = self.0;
        let (dx, dy) = (to.0 - arriving.0, to.1 - arriving.1);
        let distance = dx.hypot(dy);
        let (dx, dy) = match distance > 0.1 {
            true => (dx / distance, dy / distance),
            false => {
                let distance = (to.0 - from.0).hypot(to.1 - from.1).max(0.1);
                ((to.0 - from.0) / distance, (to.1 - from.1) / distance)
            }
        };
        let end = (to.0 - dx * length, to.1 - dy * length);
        let pull = (arriving.0 - dx * length * 0.5, arriving.1 - dy * length * 0.5);
        (Self([from, leaving, pull, end]), (end, to))
    }
}
