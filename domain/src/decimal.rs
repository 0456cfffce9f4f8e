//! Sums of JSON numbers as a person would write them: 0.1 and 0.2 are 0.3.
//!
//! A double stands for the shortest decimal that reads as it, which is how it was sent and how it is shown. Sums are made of those decimals,
//! without rounding; one that no double stands for is none.

use serde_json::Number;

use crate::json::MAX_SAFE_INTEGER;

/// How far apart two exponents may be. Further apart, their sum has more digits than any double stands for.
const MOST_ZEROS: u32 = 20;

/// `digits` × 10^`exponent`, with no zero at the end of `digits`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Decimal {
    digits: i128,
    exponent: i32,
}

/// The sum of two numbers; none when it is an integer beyond ±(2^53 - 1), or has more digits than a double keeps.
pub fn sum(one: &Number, other: &Number) -> Option<Number> {
    Decimal::of(one)?.plus(Decimal::of(other)?)?.number()
}

impl Decimal {
    fn new(mut digits: i128, mut exponent: i32) -> Self {
        if digits == 0 {
            return Self { digits: 0, exponent: 0 };
        }
        while digits % 10 == 0 {
            digits /= 10;
            exponent += 1;
        }
        Self { digits, exponent }
    }

    /// Reads what a number is written as: `-12`, `0.5`, `1.5e-7`.
    fn of(number: &Number) -> Option<Self> {
        let text = number.to_string();
        let (mantissa, exponent) = text.split_once(['e', 'E']).unwrap_or((&text, "0"));
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let exponent: i32 = exponent.parse().ok()?;
        let digits = format!("{whole}{fraction}").parse().ok()?;
        Some(Self::new(digits, exponent - i32::try_from(fraction.len()).ok()?))
    }

    fn plus(self, other: Self) -> Option<Self> {
        if self.digits == 0 {
            return Some(other);
        }
        if other.digits == 0 {
            return Some(self);
        }
        let exponent = self.exponent.min(other.exponent);
        let aligned = |decimal: Self| {
            let zeros = decimal.exponent.abs_diff(exponent);
            (zeros <= MOST_ZEROS).then(|| decimal.digits.checked_mul(10_i128.pow(zeros))).flatten()
        };
        Some(Self::new(aligned(self)?.checked_add(aligned(other)?)?, exponent))
    }

    fn number(self) -> Option<Number> {
        if self.exponent >= 0 {
            let zeros = u32::try_from(self.exponent).ok().filter(|zeros| *zeros <= MOST_ZEROS)?;
            let integer = i64::try_from(self.digits.checked_mul(10_i128.pow(zeros))?).ok()?;
            return (integer.unsigned_abs() <= MAX_SAFE_INTEGER).then(|| integer.into());
        }
        let double: f64 = format!("{}e{}", self.digits, self.exponent).parse().ok()?;
        let number = Number::from_f64(double)?;
        (Self::of(&number)? == self).then_some(number)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn number(text: &str) -> Number {
        let value = crate::json::parse(text.as_bytes()).unwrap();
        value.as_number().unwrap().clone()
    }

    #[track_caller]
    fn check(one: &str, other: &str, expected: Option<&str>) {
        let found = sum(&number(one), &number(other));
        assert_eq!(found.map(|sum| sum.to_string()).as_deref(), expected, "{one} + {other}");
        assert_eq!(sum(&number(other), &number(one)), sum(&number(one), &number(other)));
    }

    #[test]
    fn decimals_add_up_as_on_paper() {
        check("0.1", "0.2", Some("0.3"));
        check("19.99", "0.01", Some("20"));
        check("1.1", "-2.2", Some("-1.1"));
        check("4.35", "100", Some("104.35"));
        check("0.5", "-0.5", Some("0"));
        check("1.5e-7", "1e-8", Some("1.6e-7"));
        check("1e20", "0", None);
    }

    #[test]
    fn integers_stay_exact_or_are_none() {
        check("9007199254740990", "1", Some("9007199254740991"));
        check("9007199254740991", "1", None);
        check("-9007199254740991", "-1", None);
        check("-9007199254740991", "9007199254740991", Some("0"));
        check("9007199254740991", "0.5", None);
    }

    #[test]
    fn a_sum_that_no_double_stands_for_is_none() {
        check("1e300", "1", None);
        check("1", "1e-300", None);
        check("1e300", "1e300", None);
        check("0.1234567890123456", "1000000000000", None);
        check("5e-324", "5e-324", Some("1e-323"));
        check("1e300", "-1e300", Some("0"));
    }

    proptest! {
        #[test]
        fn cents_add_up(one in -1_000_000_000_000_i64..1_000_000_000_000, other in -1_000_000_000_000_i64..1_000_000_000_000) {
            let cents = |cents: i64| number(&format!("{cents}e-2"));
            prop_assert_eq!(sum(&cents(one), &cents(other)), Some(cents(one + other)));
        }

        #[test]
        fn no_two_doubles_make_it_panic(one in proptest::num::f64::NORMAL | proptest::num::f64::SUBNORMAL, other in proptest::num::f64::ANY) {
            if let (Some(one), Some(other)) = (Number::from_f64(one), Number::from_f64(other))
                && let Some(sum) = sum(&one, &other)
            {
                prop_assert!(sum.as_f64().is_some_and(f64::is_finite));
            }
        }
    }
}
