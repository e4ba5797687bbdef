//! The disk does what it is said to do, and no worse.

use super::*;

fn write(node: usize, at: usize, byte: u8, len: usize, begin: usize) -> Step {
    Step {
        node,
        change: Change::Write {
            at,
            data: vec![byte; len],
        },
        begin,
        end: begin + 1,
    }
}

/// A file 1 named `a` from the start on, 1,024 bytes of 1; at 10 it is written over, at 20 renamed to `b`.
fn history(syncs: &[(usize, usize, usize)]) -> History {
    let start = Tree(vec![
        Node::Dir(BTreeMap::from([("a".to_owned(), 1)])),
        Node::File(vec![1; 1024]),
    ]);
    let rename = Change::Rename {
        from: "a".to_owned(),
        to: "b".to_owned(),
    };
    let steps = vec![
        write(1, 0, 2, 2048, 10),
        Step {
            node: 0,
            change: rename,
            begin: 20,
            end: 21,
        },
    ];
    let sync = |&(node, begin, end)| Sync {
        node,
        path: String::new(),
        begin,
        end,
    };
    History {
        start,
        steps,
        syncs: syncs.iter().map(sync).collect(),
    }
}

fn names(tree: &Tree) -> String {
    let Node::Dir(names) = &tree.0[0] else {
        unreachable!()
    };
    names.keys().cloned().collect()
}

fn content(tree: &Tree) -> &[u8] {
    let Node::File(content) = &tree.0[1] else {
        unreachable!()
    };
    content
}

#[test]
fn a_sync_covers_what_ended_before_it_began_and_only_once_it_has_ended() {
    let mut random = Rng::with_seed(1);
    // The file is synced too early, too late for the cut, and in time; the directory never.
    for (syncs, expected) in [
        (vec![(1, 11, 13)], 1),
        (vec![(1, 12, 30)], 1),
        (vec![(1, 12, 29)], 2),
    ] {
        let tree = history(&syncs).cut(30, Model::Lost, &mut random);
        assert_eq!(
            (content(&tree)[0], names(&tree).as_str()),
            (expected, "a"),
            "{syncs:?}"
        );
    }
    let tree = history(&[(0, 22, 23)]).cut(30, Model::Lost, &mut random);
    assert_eq!((content(&tree)[0], names(&tree).as_str()), (1, "b"));
}

#[test]
fn each_model_loses_what_it_may_and_nothing_else() {
    let mut random = Rng::with_seed(2);
    let (mut torn, mut mixed, mut late) = (0, 0, 0);
    for _ in 0..300 {
        let tree = history(&[]).cut(30, Model::TornData, &mut random);
        assert_eq!(names(&tree), "b");
        torn += usize::from(content(&tree)[0] != content(&tree)[512]);
        let tree = history(&[]).cut(30, Model::LateNames, &mut random);
        late += usize::from(names(&tree) == "a");
        let tree = history(&[]).cut(30, Model::Ordered, &mut random);
        // The rename is behind the write.
        assert!(names(&tree) == "a" || content(&tree) == [2; 2048]);
        mixed += usize::from(content(&tree)[0] == 2 && content(&tree)[600] == 1);
        for model in Model::ALL {
            let tree = history(&[(1, 15, 16), (0, 22, 23)]).cut(30, model, &mut random);
            assert_eq!(
                (names(&tree).as_str(), content(&tree)),
                ("b", &[2u8; 2048][..]),
                "{model:?}"
            );
        }
    }
    assert!(torn > 20 && mixed > 5 && late > 50, "{torn} {mixed} {late}");
}
