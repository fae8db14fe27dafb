//! Own requests: ids, deadlines and lapses, without an engine.

use super::*;
use crate::testing::keys::peer;

const fn at(ms: u64) -> Time {
    Time::from_ms(ms)
}

fn blocks() -> Question {
    Question::Blocks(vec![BlockHash::new([1; 32])])
}

#[test]
fn a_request_lapses_only_when_all_that_came_before_its_deadline_was_handed_over() {
    let mut requests = Requests::new(at(0));
    requests.ask(at(0), peer(1), blocks(), Some(2_000));
    for (heard, lapses) in [(1_999, false), (2_000, false), (2_001, true)] {
        requests.hear(at(heard));
        assert_eq!(requests.lapse(at(0)).is_some(), lapses, "heard up to {heard}");
    }
}

#[test]
fn an_answer_that_was_read_in_time_is_never_late() {
    let mut requests = Requests::new(at(0));
    let id = requests.ask(at(0), peer(1), blocks(), Some(2_000));
    // The facts of this hour come with their stamps; the answer's is before the deadline.
    requests.hear(at(1_500));
    assert!(requests.lapse(at(0)).is_none());
    assert!(requests.end(id, peer(1)).is_some_and(|asked| asked.is_on_time()));
    requests.hear(at(60_000));
    assert!(requests.lapse(at(0)).is_none());
}

#[test]
fn four_requests_to_one_peer_lapse_once_for_each_patience() {
    let mut requests = Requests::new(at(0));
    for _ in 0..4 {
        requests.ask(at(0), peer(1), blocks(), Some(2_000));
    }
    let mut lapses = Vec::new();
    let mut patience = 2_000;
    for now in (0..200_000).step_by(100) {
        requests.hear(at(now));
        while requests.lapse(at(0)).is_some() {
            lapses.push(now);
            patience *= 2;
            requests.grant(&peer(1), at(now + patience));
        }
    }
    // All four together, and after the third time none of them is waited for.
    assert_eq!(lapses, [2_100, 6_200, 14_300]);
    assert_eq!(requests.next_wakeup(), None);
}

#[test]
fn an_answer_from_somebody_else_ends_nothing() {
    let mut requests = Requests::new(at(0));
    let id = requests.ask(at(0), peer(1), Question::Headers, Some(2_000));
    assert!(requests.end(id, peer(2)).is_none());
    assert!(requests.contains(id));
    assert!(requests.end(id, peer(1)).is_some());
    assert!(requests.end(id, peer(1)).is_none());
}

#[test]
fn a_question_for_headers_lapses_once_and_one_for_bodies_three_times() {
    for (what, times) in [
        (Question::Headers, 1),
        (Question::Pending([0; 32]), 1),
        (blocks(), LAPSES_MAX),
    ] {
        let mut requests = Requests::new(at(0));
        let id = requests.ask(at(0), peer(1), what, Some(10));
        let mut count = 0;
        for now in (0..1_000).step_by(50) {
            requests.hear(at(now));
            count += u32::from(requests.lapse(at(0)).is_some());
            requests.grant(&peer(1), at(now + 10));
        }
        assert_eq!(count, times);
        assert!(requests.contains(id), "the network ends it");
        assert_eq!(requests.next_wakeup(), None);
    }
}

#[test]
fn four_questions_are_under_way_to_a_peer_and_statuses_are_none_of_them() {
    let mut requests = Requests::new(at(0));
    assert!(!requests.is_free(at(0), &peer(1)), "nobody is there");
    requests.connected(at(0), peer(1));
    let asked: Vec<u64> = (0..4)
        .map(|_| {
            assert!(requests.is_free(at(0), &peer(1)));
            requests.ask(at(0), peer(1), Question::Headers, None)
        })
        .collect();
    assert_eq!(requests.link(&peer(1)).unwrap().free_at(), None);
    let status = requests.ask(at(0), peer(1), Question::Status, None);
    requests.end(status, peer(1));
    assert!(!requests.is_free(at(0), &peer(1)));
    requests.end(asked[0], peer(1));
    assert!(requests.is_free(at(0), &peer(1)));
    let mut gone = requests.gone(&peer(1));
    gone.sort_unstable();
    assert_eq!(gone, asked[1..]);
}

#[test]
fn a_busy_peer_is_left_alone_for_half_a_second_and_after_24_times_counts_as_silent_until_it_serves() {
    let mut requests = Requests::new(at(0));
    requests.connected(at(0), peer(1));
    let link = requests.link_mut(&peer(1)).unwrap();
    link.note_busy(at(1_000));
    assert!(!link.is_free(at(1_499)) && link.is_free(at(1_500)));
    (1..24).for_each(|_| link.note_busy(at(1_000)));
    assert!(link.is_always_busy());
    link.delivered();
    assert!(!link.is_always_busy());
}

#[test]
fn a_lapse_gives_every_other_question_to_that_peer_its_new_patience() {
    let mut requests = Requests::new(at(0));
    requests.connected(at(0), peer(1));
    let patience = requests.link(&peer(1)).unwrap().pace().patience_ms();
    requests.ask(at(0), peer(1), Question::Headers, Some(10));
    requests.ask(at(0), peer(1), Question::Pending([0; 32]), Some(20));
    requests.hear(at(30));
    assert!(requests.lapse(at(30)).is_some());
    assert!(requests.lapse(at(30)).is_none(), "one lapse at a time");
    let longer = requests.link(&peer(1)).unwrap().pace().patience_ms();
    assert!(longer > patience);
    requests.hear(at(31 + longer));
    assert!(requests.lapse(at(31 + longer)).is_some());
}
