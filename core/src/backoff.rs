//! The pause before a further try.

use std::time::Duration;

/// A random part of a time that begins with `first`, doubles with each failure, and is at most `longest`
/// (full jitter). `failures` counts the tries that failed.
pub fn backoff(first: Duration, longest: Duration, failures: u32) -> Duration {
    let doubled = 2u32.saturating_pow(failures.saturating_sub(1));
    first.saturating_mul(doubled).min(longest).mul_f64(fastrand::f64())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_doubles_up_to_the_longest_and_is_shortened_at_random() {
        let (first, longest) = (Duration::from_secs(1), Duration::from_secs(8));
        for (failures, most) in [(0, 1), (1, 1), (2, 2), (3, 4), (4, 8), (5, 8), (u32::MAX, 8)] {
            let pauses: Vec<_> = (0..200).map(|_| backoff(first, longest, failures)).collect();
            let most = Duration::from_secs(most);
            assert!(pauses.iter().all(|pause| *pause <= most), "{failures}");
            assert!(pauses.iter().any(|pause| *pause > most / 2), "{failures}");
            assert!(pauses.iter().any(|pause| *pause < most / 2), "{failures}");
        }
    }
}
