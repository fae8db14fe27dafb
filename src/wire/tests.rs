//! What decodes, and that nothing else does.

mod compact;
mod vectors;

use proptest::collection::vec;
use proptest::prelude::*;

use super::message::{
    BLOCKS_MAX, GOSSIP_TX_MAX_COUNT, HEADERS_MAX, LOCATOR_MAX, PEER_ADDRESSES_MAX, PEERS_MAX, decode_transactions,
    encode_transactions,
};
use super::{REQUEST_MAX_BYTES, RESPONSE_MAX_BYTES, Request, Response, Status, ToldPeer, WireError};

fn any_status() -> impl Strategy<Value = Status> {
    (
        any::<[u8; 32]>(),
        any::<u64>(),
        any::<[u8; 32]>(),
        "[a-z]{0,32}",
        any::<(u64, u64, u32, u64)>(),
    )
        .prop_map(
            |(tip, height, work, name, (clock_ms, instance, pool_count, pool_digest))| Status {
                tip,
                height,
                work,
                name,
                clock_ms,
                instance,
                pool_count,
                pool_digest,
            },
        )
}

fn any_request() -> impl Strategy<Value = Request> {
    prop_oneof![
        any_status().prop_map(Request::Status),
        vec(any::<[u8; 32]>(), 0..=LOCATOR_MAX).prop_map(|locator| Request::GetHeaders { locator }),
        vec(any::<[u8; 32]>(), 0..=BLOCKS_MAX).prop_map(|hashes| Request::GetBlocks { hashes }),
        any::<[u8; 32]>().prop_map(|after| Request::GetPending { after }),
        Just(Request::GetPeers),
        (any::<[u8; 32]>(), vec(any::<u16>(), 0..200))
            .prop_map(|(block, positions)| Request::GetTransactions { block, positions }),
    ]
}

fn any_told_peer() -> impl Strategy<Value = ToldPeer> {
    let addresses = vec("[a-z0-9/]{0,60}", 0..=PEER_ADDRESSES_MAX);
    (any::<[u8; 32]>(), addresses).prop_map(|(key, addresses)| ToldPeer { key, addresses })
}

fn any_response() -> impl Strategy<Value = Response> {
    prop_oneof![
        any_status().prop_map(Response::Status),
        vec(any::<u8>().prop_map(|byte| [byte; 96]), 0..40).prop_map(Response::Headers),
        vec(vec(any::<u8>(), 0..200), 0..=BLOCKS_MAX).prop_map(Response::Blocks),
        vec(vec(any::<u8>(), 0..200), 0..40).prop_map(Response::Pending),
        vec(vec(any::<u8>(), 0..200), 0..40).prop_map(Response::Transactions),
        vec(any_told_peer(), 0..=PEERS_MAX).prop_map(Response::Peers),
        Just(Response::Busy),
        Just(Response::Unsupported),
    ]
}

proptest! {
    #[test]
    fn requests_survive_the_wire(request in any_request()) {
        prop_assert_eq!(Request::decode(&request.encode()), Ok(request));
    }

    #[test]
    fn responses_survive_the_wire(response in any_response()) {
        prop_assert_eq!(Response::decode(&response.encode()), Ok(response));
    }

    /// Whatever decodes is what its encoding says: one sequence of bytes for one message.
    #[test]
    fn nothing_else_decodes(mut bytes in any_request().prop_map(|r| r.encode()), at in any::<usize>(), flip in 1..=255_u8) {
        let at = at % bytes.len();
        bytes[at] ^= flip;
        if let Ok(request) = Request::decode(&bytes) {
            prop_assert_eq!(request.encode(), bytes);
        }
    }

    #[test]
    fn noise_never_panics(bytes in vec(any::<u8>(), 0..300)) {
        let _ = (Request::decode(&bytes), Response::decode(&bytes), decode_transactions(&bytes));
    }
}

#[test]
fn trailing_bytes_are_refused() {
    let mut bytes = Response::Busy.encode();
    bytes.push(0);
    assert_eq!(Response::decode(&bytes), Err(WireError::NotCanonical));
}

#[test]
fn a_promised_count_takes_no_memory() {
    // GetHeaders that promises 2^40 hashes in 12 bytes.
    let bytes = [&1_u32.to_le_bytes()[..], &(1_u64 << 40).to_le_bytes()].concat();
    assert!(matches!(Request::decode(&bytes), Err(WireError::Malformed(_))));
}

#[test]
fn lists_above_their_limit_are_refused() {
    let locator = vec![[1; 32]; LOCATOR_MAX + 1];
    assert!(matches!(
        Request::decode(&Request::GetHeaders { locator }.encode()),
        Err(WireError::TooMany { .. })
    ));
    let hashes = vec![[1; 32]; BLOCKS_MAX + 1];
    assert!(matches!(
        Request::decode(&Request::GetBlocks { hashes }.encode()),
        Err(WireError::TooMany { .. })
    ));
    let headers = vec![[1; 96]; HEADERS_MAX + 1];
    assert!(matches!(
        Response::decode(&Response::Headers(headers).encode()),
        Err(WireError::TooMany { .. })
    ));
    let blocks = vec![vec![]; BLOCKS_MAX + 1];
    assert!(matches!(
        Response::decode(&Response::Blocks(blocks).encode()),
        Err(WireError::TooMany { .. })
    ));
    let list = vec![vec![1]; GOSSIP_TX_MAX_COUNT + 1];
    assert!(matches!(
        decode_transactions(&encode_transactions(&list)),
        Err(WireError::TooMany { .. })
    ));
}

#[test]
fn elements_at_their_limit_pass_and_above_it_they_are_refused() {
    let too_many = |result: Result<(), WireError>| matches!(result, Err(WireError::TooMany { .. }));
    let gossip =
        |count: usize, size: usize| decode_transactions(&encode_transactions(&vec![vec![1; size]; count])).map(drop);
    let page = |size: usize| Response::decode(&Response::Pending(vec![vec![1; size]]).encode()).map(drop);
    let blocks = |size: usize| Response::decode(&Response::Blocks(vec![vec![1; size]]).encode()).map(drop);
    assert_eq!((gossip(GOSSIP_TX_MAX_COUNT, 1), gossip(1, 512)), (Ok(()), Ok(())));
    assert_eq!((page(512), blocks(1024 * 1024)), (Ok(()), Ok(())));
    assert!(too_many(gossip(1, 513)) && too_many(page(513)) && too_many(blocks(1024 * 1024 + 1)));
    let status = |length: usize| Status {
        tip: [1; 32],
        height: 1,
        work: [1; 32],
        name: "a".repeat(length),
        clock_ms: 1,
        instance: 1,
        pool_count: 1,
        pool_digest: 1,
    };
    let request = |length| Request::decode(&Request::Status(status(length)).encode()).map(drop);
    let response = |length| Response::decode(&Response::Status(status(length)).encode()).map(drop);
    assert_eq!((request(32), response(32)), (Ok(()), Ok(())));
    assert!(too_many(request(33)) && too_many(response(33)));
}

#[test]
fn told_peers_at_their_limits_pass_and_above_them_are_refused() {
    let peers = |count, addresses, length| {
        let peer = ToldPeer {
            key: [1; 32],
            addresses: vec!["a".repeat(length); addresses],
        };
        Response::decode(&Response::Peers(vec![peer; count]).encode()).map(drop)
    };
    assert_eq!(peers(PEERS_MAX, PEER_ADDRESSES_MAX, 255), Ok(()));
    for (count, addresses, length) in [(33, 1, 1), (1, 5, 1), (1, 1, 256)] {
        assert!(matches!(
            peers(count, addresses, length),
            Err(WireError::TooMany { .. })
        ));
    }
}

#[test]
fn a_question_for_256_blocks_is_read_and_so_is_its_answer() {
    let hashes = vec![[1; 32]; 256];
    let request = Request::GetBlocks { hashes };
    assert_eq!(Request::decode(&request.encode()), Ok(request));
    let answer = Response::Blocks(vec![vec![0; 8_000]; 256]);
    assert_eq!(Response::decode(&answer.encode()), Ok(answer));
}

#[test]
fn a_full_answer_of_each_kind_fits() {
    let headers = Response::Headers(vec![[1; 96]; HEADERS_MAX]);
    assert_eq!(Response::decode(&headers.encode()), Ok(headers));
    let blocks = Response::Blocks(vec![vec![0; 1024 * 1024]]);
    assert_eq!(Response::decode(&blocks.encode()), Ok(blocks));
}

#[test]
fn too_many_bytes_are_refused_unread() {
    let too_long = WireError::TooLong {
        limit: REQUEST_MAX_BYTES,
    };
    let mut bytes = Request::GetBlocks { hashes: vec![] }.encode();
    bytes.resize(REQUEST_MAX_BYTES + 1, 0);
    assert_eq!(Request::decode(&bytes), Err(too_long));
    let mut bytes = Response::Busy.encode();
    bytes.resize(RESPONSE_MAX_BYTES + 1, 0);
    assert_eq!(
        Response::decode(&bytes),
        Err(WireError::TooLong {
            limit: RESPONSE_MAX_BYTES
        })
    );
}

#[test]
fn a_newer_kind_is_named_and_not_malformed() {
    let bytes = 9_u32.to_le_bytes();
    assert_eq!(Request::decode(&bytes), Err(WireError::UnknownKind(9)));
    assert_eq!(Request::decode(&6_u32.to_le_bytes()), Err(WireError::UnknownKind(6)));
    assert_eq!(Response::decode(&8_u32.to_le_bytes()), Err(WireError::UnknownKind(8)));
}

#[test]
fn an_empty_list_of_transactions_is_no_message() {
    assert!(matches!(
        decode_transactions(&encode_transactions(&[])),
        Err(WireError::Malformed(_))
    ));
}
