//! Random numbers that can be had again: each test prints its seed.

use std::hash::{BuildHasher as _, RandomState};
use std::time::Duration;

/// SplitMix64.
pub struct Random(u64);

impl Random {
    /// Seeded by the variable `LEDGER_TEST_SEED`, else by chance.
    pub fn seeded(purpose: &str) -> Self {
        let given = std::env::var("LEDGER_TEST_SEED").ok();
        let seed = given
            .map_or_else(|| RandomState::new().hash_one(purpose), |text| text.parse().unwrap());
        println!("{purpose}: LEDGER_TEST_SEED={seed}");
        Self(seed)
    }

    pub fn from_seed(seed: u64) -> Self {
        Self(seed)
    }

    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// Less than that.
    pub fn below(&mut self, limit: usize) -> usize {
        usize::try_from(self.next() % limit.max(1) as u64).unwrap()
    }

    pub fn one_in(&mut self, chances: usize) -> bool {
        self.below(chances) == 0
    }

    pub fn pick<T: Clone>(&mut self, from: &[T]) -> T {
        from[self.below(from.len())].clone()
    }

    pub fn up_to(&mut self, longest: Duration) -> Duration {
        Duration::from_micros(self.next() % u64::try_from(longest.as_micros()).unwrap().max(1))
    }

    pub fn shuffle<T>(&mut self, many: &mut [T]) {
        for last in (1..many.len()).rev() {
            many.swap(last, self.below(last + 1));
        }
    }
}

/// How often something is tried: a variable says so, else it is what suits `make test`.
pub fn count(variable: &str, otherwise: usize) -> usize {
    std::env::var(variable).map_or(otherwise, |text| text.parse().unwrap())
}
