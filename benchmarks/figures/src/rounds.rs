//! What a contender took, round by round.

use std::time::{Duration, Instant};

/// What one contender took in each round, for one call. Contenders are measured in turns, so the
/// rounds of two of them belong together: what slows the machine slows both.
#[derive(Debug, Default, Clone)]
pub struct Rounds {
    wall: Vec<f64>,
    /// Empty, or as long.
    cpu: Vec<f64>,
}

/// A median, and the deciles below and above which one round in ten lies.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Spread {
    /// Half of the rounds took less.
    pub median: f64,
    /// One round in ten took less.
    pub low: f64,
    /// One round in ten took more.
    pub high: f64,
}

impl Rounds {
    /// None yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a round, in the figure's unit.
    pub fn add(&mut self, wall: f64) {
        self.wall.push(wall);
    }

    /// Adds a round of which the CPU time is known, too.
    pub fn add_with_cpu(&mut self, wall: f64, cpu: Option<f64>) {
        self.wall.push(wall);
        self.cpu.extend(cpu);
    }

    /// All rounds.
    pub fn wall(&self) -> Spread {
        Spread::of(&self.wall)
    }

    /// `None` where it was not measured.
    pub fn cpu_median(&self) -> Option<f64> {
        (!self.cpu.is_empty()).then(|| Spread::of(&self.cpu).median)
    }

    /// The ratio of these rounds to the other's, round by round, and that of the CPU times.
    pub(crate) fn over(&self, other: &Self) -> (Spread, Option<f64>) {
        let ratios = |ours: &[f64], theirs: &[f64]| -> Vec<f64> {
            ours.iter().zip(theirs).map(|(one, other)| one / other).collect()
        };
        let cpu = ratios(&self.cpu, &other.cpu);
        let cpu = (!cpu.is_empty()).then(|| Spread::of(&cpu).median);
        (Spread::of(&ratios(&self.wall, &other.wall)), cpu)
    }
}

impl Spread {
    fn of(rounds: &[f64]) -> Self {
        let mut sorted = rounds.to_vec();
        sorted.sort_unstable_by(f64::total_cmp);
        let share = |share| quantile(&sorted, share);
        Self { median: share(0.5), low: share(0.1), high: share(0.9) }
    }
}

/// Between two rounds, as much of each as the share lies nearer to it. Without rounds there is none.
fn quantile(sorted: &[f64], share: f64) -> f64 {
    let place = sorted.len().saturating_sub(1) as f64 * share;
    let at = |place: f64| sorted.get(place as usize).copied().unwrap_or(f64::NAN);
    let (below, above) = (at(place.floor()), at(place.ceil()));
    below + (above - below) * place.fract()
}

/// The CPU time of this process so far, all its threads together. Not known on every system.
pub fn cpu_time() -> Option<Duration> {
    #[cfg(unix)]
    {
        use rustix::time::{ClockId, clock_gettime};
        Duration::try_from(clock_gettime(ClockId::ProcessCPUTime)).ok()
    }
    #[cfg(not(unix))]
    None
}

/// Wall time and CPU time since it was started.
#[derive(Debug)]
pub struct Clock {
    cpu: Option<Duration>,
    wall: Instant,
}

impl Clock {
    /// Starts it.
    pub fn start() -> Self {
        Self { cpu: cpu_time(), wall: Instant::now() }
    }

    /// Adds a round of so many calls, in units of which a second has so many.
    pub fn stop(self, rounds: &mut Rounds, calls: u32, units_a_second: f64) {
        let wall = self.wall.elapsed();
        let cpu = cpu_time().zip(self.cpu).map(|(now, before)| now.saturating_sub(before));
        let a_call = |time: Duration| time.as_secs_f64() * units_a_second / f64::from(calls);
        rounds.add_with_cpu(a_call(wall), cpu.map(a_call));
    }
}

#[cfg(test)]
mod tests {
    use super::{Rounds, Spread};

    fn rounds(wall: impl IntoIterator<Item = f64>) -> Rounds {
        Rounds { wall: wall.into_iter().collect(), cpu: Vec::new() }
    }

    #[test]
    fn deciles_leave_the_lowest_and_the_highest_tenth_out() {
        let spread = rounds((0..=10).rev().map(f64::from)).wall();
        assert_eq!(spread, Spread { median: 5.0, low: 1.0, high: 9.0 });
        assert_eq!(rounds([1.0, 2.0]).wall().median, 1.5);
    }

    #[test]
    fn a_ratio_is_that_of_each_round_and_not_of_the_medians() {
        // The machine was ten times as slow in the second round.
        let (ratio, cpu) = rounds([2.0, 20.0, 2.0]).over(&rounds([1.0, 10.0, 1.0]));
        assert_eq!(ratio, Spread { median: 2.0, low: 2.0, high: 2.0 });
        assert_eq!(cpu, None);
    }
}
