//! The few numbers a series of measurements is reduced to.

use std::time::Duration;

/// The middle value; the mean of the two middle ones when their count is even.
pub(crate) fn median(values: &[f64]) -> Option<f64> {
    let sorted = sorted(values);
    let middle = sorted.len() / 2;
    let upper = *sorted.get(middle)?;
    if sorted.len() % 2 == 1 {
        return Some(upper);
    }
    Some((sorted.get(middle.checked_sub(1)?)? + upper) / 2.0)
}

/// The value below which `share` (0 to 1) of the values lie.
pub(crate) fn percentile(values: &[f64], share: f64) -> Option<f64> {
    let sorted = sorted(values);
    let at = (sorted.len() as f64 * share) as usize;
    sorted.get(at.min(sorted.len().checked_sub(1)?)).copied()
}

/// Smallest and largest value.
pub(crate) fn extremes(values: &[f64]) -> Option<(f64, f64)> {
    let sorted = sorted(values);
    Some((*sorted.first()?, *sorted.last()?))
}

/// (largest - smallest) / median, in per cent: how far apart the rounds lie.
pub(crate) fn spread(values: &[f64]) -> Option<f64> {
    let (low, high) = extremes(values)?;
    let middle = median(values)?;
    (middle > 0.0).then(|| 100.0 * (high - low) / middle)
}

fn sorted(values: &[f64]) -> Vec<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted
}

/// How long each single operation of a series took.
#[derive(Debug, Default)]
pub(crate) struct Latencies(Vec<f64>);

impl Latencies {
    pub(crate) fn add(&mut self, took: Duration) {
        self.0.push(took.as_secs_f64() * 1e6);
    }

    /// The time below which `share` of the operations stayed, in microseconds.
    pub(crate) fn percentile_us(&self, share: f64) -> Option<f64> {
        percentile(&self.0, share)
    }

    /// The time all of them took together, in seconds.
    pub(crate) fn sum_s(&self) -> f64 {
        self.0.iter().sum::<f64>() / 1e6
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_of_an_even_count_lies_between_the_middle_ones() {
        assert_eq!(median(&[4.0, 1.0, 3.0, 2.0]), Some(2.5));
        assert_eq!(median(&[9.0, 1.0, 2.0]), Some(2.0));
        assert_eq!(median(&[]), None);
    }

    #[test]
    fn the_spread_is_the_range_over_the_median() {
        assert_eq!(spread(&[90.0, 100.0, 140.0]), Some(50.0));
        assert_eq!(spread(&[0.0, 0.0]), None);
    }

    #[test]
    fn a_percentile_never_leaves_the_series() {
        let values: Vec<f64> = (1..=100).map(f64::from).collect();
        assert_eq!(percentile(&values, 0.5), Some(51.0));
        assert_eq!(percentile(&values, 0.99), Some(100.0));
        assert_eq!(percentile(&values, 1.0), Some(100.0));
        assert_eq!(percentile(&[], 0.5), None);
    }
}
