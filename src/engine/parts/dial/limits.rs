//! The numbers that dialling goes by. Each stands in `proto-notes/limits.md`.

/// Links that this node opens by itself: enough that a room stays one network when many leave, few enough that the
/// traffic of a node does not grow with the room. The rest of the 48 is for those who dial it.
pub const OWN_LINKS: usize = 8;
/// Links above which those who dialled in make room, as long as discovery hears them.
pub const LINKS_MANY: usize = 20;
/// Own links with those whom the user named.
pub const OUTBOUND_MAX: usize = 16;
/// Own links by tellings of one address: a third of all, so that nobody chooses this node's neighbours.
pub const TOLD_LINKS_MAX: usize = OWN_LINKS / 3;
/// Dials that hold a place at once: enough for a room, too few to scan a network.
pub const PENDING_MAX: usize = 8;
/// Dials under way, also those that gave up their place: what four a second make in ten seconds.
pub const IN_FLIGHT_MAX: usize = 40;
/// Dials of one host that hold a place.
pub const PENDING_PER_HOST_MAX: usize = 2;
/// Dials a second, so that a flood of false records makes no flood of dials.
pub const DIALS_PER_SECOND: u64 = 4;
/// Candidates kept, as many as discovery keeps records.
pub const CANDIDATES_MAX: usize = 256;
/// Candidates by tellings of one address, as many as one answer names.
pub const TOLD_MAX: usize = 32;
/// Told addresses that were dialled and are remembered.
pub const TRIED_MAX: usize = 1_024;
/// A told address is dialled once in this time.
pub const TOLD_AGAIN_MS: u64 = 3_600_000;
/// Failures after which a candidate that never answered leaves: some two minutes.
pub const JUNK_FAILURES: u32 = 8;
/// Candidates that left and are remembered as such, and for how long.
pub const LEFT_MAX: usize = 512;
/// How long a candidate that left is remembered; see [`LEFT_MAX`].
pub const LEFT_MS: u64 = 600_000;
/// Candidates that were connected and are not now: beyond this number they make room, so that passing identities leave
/// places for neighbours that are still unknown.
pub const KNOWN_MAX: usize = CANDIDATES_MAX / 2;
/// How long the larger PeerId waits for the smaller one's dial.
pub const COURTESY_MS: u64 = 1_500;
/// With more candidates than this nobody waits out of courtesy: two nodes seldom choose each other then, and in a room
/// where the smaller ones always dial first the largest would have all links.
pub const COURTESY_UP_TO: usize = 2 * OWN_LINKS;
/// With so many links the next ones wait until it shows how many candidates there are.
pub const LINKS_AT_ONCE: usize = 2;
/// Spread of the courtesy and of back-offs.
pub const JITTER_MS: u64 = 500;
/// The first pause after a failure, and the shortest between two dials of a peer.
pub const BACKOFF_MIN_MS: u64 = 1_000;
/// The longest pause on private addresses: a neighbour that comes back is there within seconds.
pub const BACKOFF_PRIVATE_MS: u64 = 5_000;
/// The pause elsewhere, out of politeness to strangers' networks.
pub const BACKOFF_PUBLIC_MS: u64 = 60_000;
/// A peer of another network or version is left alone for an hour.
pub const OTHER_NETWORK_MS: u64 = 3_600_000;
/// A dial whose end is never told is forgotten after this time; the network ends each within 10 s.
pub const DIAL_TIMEOUT_MS: u64 = 30_000;
/// How long a dial holds its place while others wait: a neighbour answers in milliseconds, a busy one in seconds. The dial
/// itself goes on, so that whoever is just answering is not cut off.
pub const PATIENCE_MS: [u64; 3] = [2_000, 4_000, 10_000];
/// Addresses kept for a candidate: one for each interface of a usual machine, and room.
pub const ADDRESSES_MAX: usize = 8;
