//! Values as bytes that sort as the values do: for indexes and for places in a result.

use kompira_schema::field::Elem;
use kompira_schema::value::Ref;

use super::test::Scalar;
use crate::store::keys;

impl Scalar {
    /// Bytes in the order of the values of one kind. Numbers are one kind only after
    /// [`Scalar::fit`].
    pub(super) fn sort_bytes(&self) -> Vec<u8> {
        match self {
            Self::Text(text) => text.as_bytes().to_vec(),
            Self::Int(number) => (number.cast_unsigned() ^ (1 << 63)).to_be_bytes().to_vec(),
            Self::Float(number) => float_bytes(*number).to_vec(),
            Self::Bool(truth) => vec![u8::from(*truth)],
            Self::Instant(at) => {
                (at.as_nanosecond().cast_unsigned() ^ (1 << 127)).to_be_bytes().to_vec()
            }
            Self::Date(date) => {
                let year = (i32::from(date.year()) + 1_000_000).cast_unsigned();
                let mut bytes = year.to_be_bytes().to_vec();
                bytes.extend([date.month().cast_unsigned(), date.day().cast_unsigned()]);
                bytes
            }
            Self::Time(at) => {
                let clock = [at.hour(), at.minute(), at.second()];
                let mut bytes: Vec<u8> = clock.into_iter().map(i8::cast_unsigned).collect();
                bytes.extend(at.subsec_nanosecond().cast_unsigned().to_be_bytes());
                bytes
            }
            Self::Ref(target) => {
                let mut bytes = keys::reference(*target).to_vec();
                if let Some(kind) = bytes.first_mut() {
                    *kind = rank(*target);
                }
                bytes
            }
        }
    }

    /// The value as one of a field of `elem`, no greater than it (`down`) or no less.
    pub(super) fn fit(&self, elem: Elem, down: bool) -> Self {
        match (self, elem) {
            #[allow(clippy::cast_precision_loss)] // the result is tried again by the comparison
            (Self::Int(number), Elem::Float) => Self::Float(*number as f64),
            #[allow(clippy::cast_possible_truncation)] // saturates, as it should
            (Self::Float(number), Elem::Integer) => {
                Self::Int(if down { number.floor() } else { number.ceil() } as i64)
            }
            _ => self.clone(),
        }
    }
}

fn float_bytes(number: f64) -> [u8; 8] {
    // Both zeros are one value.
    let bits = if number == 0.0 { 0 } else { number.to_bits() };
    let ordered = if bits >> 63 == 0 { bits | (1 << 63) } else { !bits };
    ordered.to_be_bytes()
}

const fn rank(target: Ref) -> u8 {
    match target {
        Ref::Object(_) => 0,
        Ref::User(_) => 1,
        Ref::Group(_) => 2,
        Ref::Process(_) => 3,
        Ref::Schedule(_) => 4,
        Ref::Task(_) => 5,
        Ref::Incident(_) => 6,
    }
}

#[cfg(test)]
mod tests {
    use std::cmp::Ordering;

    use super::*;

    #[test]
    fn bytes_sort_as_the_values_do() {
        let rows: [Vec<Scalar>; 5] = [
            [i64::MIN, -5, -1, 0, 1, 256, i64::MAX].map(Scalar::Int).to_vec(),
            [f64::MIN, -1.5, -0.0, 1e-9, 2.0, f64::MAX].map(Scalar::Float).to_vec(),
            ["", "a", "a0", "b", "あ"].map(|text| Scalar::Text(text.into())).to_vec(),
            ["1969-12-31T23:59:59.9Z", "1970-01-01T00:00:00Z", "2031-07-04T09:05:00Z"]
                .map(|text| Scalar::Instant(text.parse().unwrap()))
                .to_vec(),
            ["-000001-12-31", "0001-01-01", "2031-07-04", "2031-10-01"]
                .map(|text| Scalar::Date(text.parse().unwrap()))
                .to_vec(),
        ];
        for row in rows {
            for pair in row.windows(2) {
                assert_eq!(pair[0].compare(&pair[1]), Some(Ordering::Less), "{pair:?}");
                assert!(pair[0].sort_bytes() < pair[1].sort_bytes(), "{pair:?}");
            }
        }
        assert_eq!(Scalar::Float(0.0).sort_bytes(), Scalar::Float(-0.0).sort_bytes());
        let half = Scalar::Float(1.5);
        assert_eq!(half.fit(Elem::Integer, true), Scalar::Int(1));
        assert_eq!(half.fit(Elem::Integer, false), Scalar::Int(2));
    }
}
