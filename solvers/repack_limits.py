"""The limits of a problem as rows over the options of a neighbourhood; see `LimitKind`."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

from optsched.arrays import Ints
from optsched.problem import LimitKind

if TYPE_CHECKING:
    from ortools.sat.python import cp_model

    from optsched.solvers.linear import Sum
    from optsched.solvers.repack_model import Option, RepackModel


def add_limits(model: RepackModel) -> None:
    """Add every limit that an item of the neighbourhood is bound or counted by."""
    counters, limits = model.search.state.counters, model.problem.limits
    rows = sorted({row for i in model.items for row in counters.rows_of_item[i].tolist()})
    add = {
        LimitKind.MAX: _add_max,
        LimitKind.CONFLICT: _add_conflict,
        LimitKind.SKEW: _add_skew,
        LimitKind.REQUIRE: _add_require,
    }
    for row in rows:
        add[LimitKind(limits.kind[row])](model, row)


@dataclass(frozen=True)
class _Tally:
    """A counter as an expression: what is fixed, and the options that add to it, per domain.

    `members` are the items it counts and `domain` (H,) the domain of each host, -1: not counted.
    """

    members: frozenset[int]
    domain: Ints
    fixed: Ints
    options: dict[int, list[Option]]

    def total(self, domain: int) -> Sum:
        return int(self.fixed[domain]) + sum(o.var for o in self.options.get(domain, ()))

    def counts(self, item: int, host: int) -> bool:
        return item in self.members and bool(self.domain[host] >= 0)


def _tally(model: RepackModel, counter: int, members: frozenset[int]) -> _Tally:
    counters = model.search.state.counters
    domain = counters.domain[counters.view[counter]]
    span = slice(counters.offset[counter], counters.offset[counter + 1])
    options: dict[int, list[Option]] = defaultdict(list)
    for item in model.items:
        if item in members:
            for option in model.of_item[item]:
                if domain[option.host] >= 0:
                    options[int(domain[option.host])].append(option)
    return _Tally(members, domain, model.search.state.counts[span], options)


def _main(model: RepackModel, row: int) -> _Tally:
    counters = model.search.state.counters
    return _tally(model, int(counters.main[row]), counters.in_counted[row])


def _fixed_in(model: RepackModel, members: frozenset[int], domain: Ints) -> dict[int, list[int]]:
    """Per domain, the `members` outside the neighbourhood that entered it."""
    found: dict[int, list[int]] = defaultdict(list)
    for item in sorted(model.fixed & members):
        found[int(domain[model.search.state.host[item]])].append(item)
    return found


def _add_max(model: RepackModel, row: int) -> None:
    counted, bound = _main(model, row), int(model.problem.limits.bound[row])
    fixed = _fixed_in(model, counted.members, counted.domain)
    for domain, options in counted.options.items():
        stays = sum(not o.enters for o in options)
        entering = [o.var for o in options if o.enters]
        always = domain in fixed or counted.fixed[domain] + stays <= bound
        if entering or always:
            model.at_most(counted.total(domain), bound, None if always else entering)


def _add_conflict(model: RepackModel, row: int) -> None:
    counters = model.search.state.counters
    counted = _main(model, row)
    subject = _tally(model, int(counters.subject[row]), counters.in_subject[row])
    alike = counted.members == subject.members
    for one, other in ((subject, counted),) if alike else ((subject, counted), (counted, subject)):
        fixed = _fixed_in(model, one.members, one.domain)
        for domain in fixed:
            for option in other.options.get(domain, ()) if domain >= 0 else ():
                model.model.add(option.var == 0)
        for domain, options in one.options.items():
            entering = [o for o in options if o.enters]
            if other.fixed[domain]:
                for option in entering:
                    model.model.add(option.var == 0)
            elif alike and len(options) - len(entering) <= 1:
                model.model.add_at_most_one(o.var for o in options)
            else:
                _keep_apart(model, entering, other.options.get(domain, []))


def _keep_apart(model: RepackModel, entering: list[Option], others: list[Option]) -> None:
    for option in entering:
        rest = [o.var for o in others if o.item != option.item]
        if rest:
            model.model.add(sum(rest) == 0).only_enforce_if(option.var)


def _add_skew(model: RepackModel, row: int) -> None:
    counters, limits = model.search.state.counters, model.problem.limits
    subject, counted = counters.in_subject[row], _main(model, row)
    own = model.problem.where.domain[limits.key[row]]
    entering: dict[tuple[int, bool], list[cp_model.IntVar]] = defaultdict(list)
    for option in model.options:
        if option.item not in subject or not option.enters:
            continue
        if not counters.allowed[row][option.host]:
            model.model.add(option.var == 0)
            continue
        itself = counted.counts(option.item, option.host)
        entering[int(own[option.host]), itself].append(option.var)
    for (domain, itself), literals in entering.items():
        _bind_skew(model, row, counted, domain, itself, literals)
    for item in sorted(model.fixed & subject):
        host = int(model.search.state.host[item])
        itself = counted.counts(item, host)
        _bind_skew(model, row, counted, int(own[host]), itself, None)


def _bind_skew(
    model: RepackModel,
    row: int,
    counted: _Tally,
    domain: int,
    itself: bool,
    literals: list[cp_model.IntVar] | None,
) -> None:
    """The count of others in `domain`, and one where the row says so, is not far above any."""
    limits = model.problem.limits
    domains = model.search.state.counters.domains[row].tolist()
    if not domains:
        return
    bound = int(limits.bound[row]) + int(itself) - int(limits.self_counts[row])
    here = counted.total(domain)
    if len(domains) < limits.min_domains[row]:
        model.at_most(here, bound, literals)
        return
    if domain in domains:
        # Against itself the difference is what `self_counts` adds, whatever the count.
        model.at_most(int(limits.self_counts[row]) + 0 * here, int(limits.bound[row]), literals)
    others = [d for d in domains if d != domain]
    still = [int(counted.fixed[d]) for d in others if not counted.options.get(d)]
    if still:
        model.at_most(here, bound + min(still), literals)
    for other in others:
        if counted.options.get(other):
            model.at_most(here - counted.total(other), bound, literals)


def _add_require(model: RepackModel, row: int) -> None:
    counters, limits = model.search.state.counters, model.problem.limits
    subject, counted = counters.in_subject[row], _main(model, row)
    anywhere = _tally(model, int(counters.anywhere[row]), counters.in_counted[row])
    entering: dict[tuple[int, bool], list[cp_model.IntVar]] = defaultdict(list)
    for option in model.options:
        if option.item not in subject or not option.enters:
            continue
        if not counters.allowed[row][option.host]:
            model.model.add(option.var == 0)
            continue
        key = int(counted.domain[option.host]), option.item in counted.members
        entering[key].append(option.var)
    for item in sorted(model.fixed & subject):
        host = int(model.search.state.host[item])
        entering.setdefault((int(counted.domain[host]), item in counted.members), []).append(
            model.model.new_constant(1)
        )
    for (domain, itself), literals in entering.items():
        present = model.any_of(literals)
        friends = model.model.add(counted.total(domain) >= 1 + int(itself))
        if not limits.self_counts[row]:
            friends.only_enforce_if(present)
            continue
        first = model.model.new_bool_var("")
        friends.only_enforce_if(present, ~first)
        model.model.add(anywhere.total(0) <= int(itself)).only_enforce_if(present, first)
