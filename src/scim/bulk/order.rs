//! The order in which operations run: strongly connected components by Tarjan's algorithm, without recursion.

use super::Operation;

/// A POST before what refers to it, what refers to each other together, and else the order of the request.
pub(super) fn order(operations: &[Operation]) -> Vec<Vec<usize>> {
    let mut walk =
        Walk { operations, nodes: vec![Node::default(); operations.len()], entered: 0, open: Vec::new(), done: Vec::new() };
    for operation in 0..operations.len() {
        if walk.nodes[operation].entered == 0 {
            walk.from(operation);
        }
    }
    walk.done
}

#[derive(Clone, Copy, Debug, Default)]
struct Node {
    /// When it was entered, from 1; 0 while it was not.
    entered: usize,
    /// The earliest entered operation that is still open and can be reached from here.
    lowest: usize,
    /// Whether the component it belongs to is not complete yet.
    is_open: bool,
    /// How many of its needs have been looked at.
    looked_at: usize,
}

struct Walk<'a> {
    operations: &'a [Operation],
    nodes: Vec<Node>,
    entered: usize,
    open: Vec<usize>,
    done: Vec<Vec<usize>>,
}

impl Walk<'_> {
    fn enter(&mut self, operation: usize) {
        self.entered += 1;
        self.nodes[operation] = Node { entered: self.entered, lowest: self.entered, is_open: true, looked_at: 0 };
        self.open.push(operation);
    }

    fn from(&mut self, first: usize) {
        self.enter(first);
        let mut way = vec![first];
        while let Some(operation) = way.last().copied() {
            let looked_at = self.nodes[operation].looked_at;
            if let Some(needed) = self.operations[operation].needs.get(looked_at).copied() {
                self.nodes[operation].looked_at += 1;
                if self.nodes[needed].entered == 0 {
                    self.enter(needed);
                    way.push(needed);
                } else if self.nodes[needed].is_open {
                    self.nodes[operation].lowest = self.nodes[operation].lowest.min(self.nodes[needed].entered);
                }
                continue;
            }
            way.pop();
            let node = self.nodes[operation];
            if let Some(before) = way.last() {
                self.nodes[*before].lowest = self.nodes[*before].lowest.min(node.lowest);
            }
            if node.lowest == node.entered {
                self.close(operation);
            }
        }
    }

    /// The operations that were entered since this one, and it, are a component.
    fn close(&mut self, root: usize) {
        let start = self.open.iter().rposition(|operation| *operation == root).unwrap_or_default();
        let mut component = self.open.split_off(start);
        for operation in &component {
            self.nodes[*operation].is_open = false;
        }
        component.sort_unstable();
        self.done.push(component);
    }
}
