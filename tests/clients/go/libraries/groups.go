package main

import (
	"fmt"
	"slices"
	"sort"

	"fishplate/tests/clients/go/play"
)

// Scenarios about consumer groups: who reads what when members come and go, and what admin sees of it.

const groupPartitions = 4

func (s *stage) join(group string, how joining, read *play.Reads) member {
	m, err := s.client.join(group, s.Topics, how, func(r record) {
		read.Took(fmt.Sprint(s.Alias(r.at), "@", r.offset, "=", string(r.value)))
	})
	play.Must(err)
	return m
}

func (s *stage) committed(group string, partitions int32) []int64 {
	offsets, err := s.client.committed(group, s.Places(partitions))
	play.Must(err)
	return offsets
}

// A group that ends and comes again goes on where it was.
func commit(s *stage) {
	s.create(2, nil)
	s.fill("first", 2, 5)
	for g, group := range s.Groups {
		seen := map[string]any{}
		read := func(count int) []string {
			all := &play.Reads{}
			one := s.join(group, joining{}, all)
			s.Until(fmt.Sprint(count, " are read"), func() bool { n, _ := all.Count(); return n == count })
			one.leave()
			return all.Names()
		}
		seen["first"] = read(20 + 4*g)
		seen["committed"] = s.committed(group, 2)
		s.fill("more", 2, 1)
		seen["then"] = read(4)
		seen["committed then"] = s.committed(group, 2)
		s.Saw(fmt.Sprint("group ", g+1), seen)
	}
}

func rangeRebalance(s *stage)       { twoMembers(s, joining{}) }
func cooperativeRebalance(s *stage) { twoMembers(s, joining{cooperative: true}) }

// One member, then two, then the other one alone, with records in between; each group in its turn.
func twoMembers(s *stage, how joining) {
	s.create(groupPartitions, nil)
	for g, group := range s.Groups {
		s.Saw(fmt.Sprint("group ", g+1), twoMembersOf(s, g, group, how))
	}
}

func twoMembersOf(s *stage, g int, group string, how joining) map[string]any {
	seen := map[string]any{}
	all := &play.Reads{}
	total := g * 3 * 2 * groupPartitions
	round := func(number int) {
		s.fill(fmt.Sprint("group-", g, "-round-", number), groupPartitions, 1)
		total += 2 * groupPartitions
		s.Until("all is read", func() bool { n, _ := all.Count(); return n == total })
	}
	first := s.join(group, how, all)
	s.Until("the first has all", func() bool { return len(first.has()) == 2*groupPartitions })
	seen["alone"] = s.Aliases(first.has())
	round(0)
	second := s.join(group, how, all)
	s.Until("both have half", func() bool {
		return len(first.has()) == groupPartitions && len(second.has()) == groupPartitions
	})
	// Who has which partition is not known of a sticky assignment; only that each has its half.
	if how.cooperative {
		seen["two"] = s.Aliases(append(first.has(), second.has()...))
	} else {
		shares := [][]string{s.Aliases(first.has()), s.Aliases(second.has())}
		slices.SortFunc(shares, func(a, b []string) int { return slices.Compare(a, b) })
		seen["two"] = shares
	}
	round(1)
	first.leave()
	s.Until("the second has all", func() bool { return len(second.has()) == 2*groupPartitions })
	seen["the other alone"] = s.Aliases(second.has())
	round(2)
	second.leave()
	seen["committed"] = s.committed(group, groupPartitions)
	seen["records"], _ = all.Count()
	return seen
}

// Static members keep their partitions over a restart that is short enough.
func staticMembers(s *stage) {
	s.create(groupPartitions, nil)
	for g, group := range s.Groups {
		seen := map[string]any{}
		read := &play.Reads{}
		one, two := s.join(group, joining{instance: "one"}, read), s.join(group, joining{instance: "two"}, read)
		s.Until("both have half", func() bool {
			return len(one.has()) == groupPartitions && len(two.has()) == groupPartitions
		})
		seen["one"], seen["two"] = s.Aliases(one.has()), s.Aliases(two.has())
		two.leave()
		again := s.join(group, joining{instance: "two"}, read)
		s.Until("two is back", func() bool { return len(again.has()) == groupPartitions })
		seen["one, still"], seen["two, again"] = s.Aliases(one.has()), s.Aliases(again.has())
		again.leave()
		one.leave()
		s.Saw(fmt.Sprint("group ", g+1), seen)
	}
}

func groupsAdmin(s *stage) {
	s.create(2, nil)
	s.fill("v", 2, 2)
	var coordinators []node
	for g, group := range s.Groups {
		seen := map[string]any{}
		read := &play.Reads{}
		m := s.join(group, joining{}, read)
		s.Until("it has read all", func() bool { n, _ := read.Count(); return n == 8 })
		seen["listed"] = listed(s, group)
		seen["described"] = described(s, group)
		seen["delete with a member"] = s.client.nameOf(s.client.deleteGroup(group))
		m.leave()
		s.Until("empty", func() bool { return described(s, group)["state"] == "Empty" })
		seen["listed, empty"] = listed(s, group)
		seen["described, empty"] = described(s, group)
		coordinator, err := s.client.coordinator(group)
		play.Must(err)
		coordinators = append(coordinators, coordinator)
		seen["delete"] = s.client.nameOf(s.client.deleteGroup(group))
		seen["listed, deleted"] = listed(s, group)
		seen["delete again"] = s.client.nameOf(s.client.deleteGroup(group))
		s.Saw(fmt.Sprint("group ", g+1), seen)
	}
	s.Told("coordinators", coordinators)
	none := s.Groups[0] + "-none"
	s.Saw("describe unknown", described(s, none))
	s.Saw("delete unknown", s.client.nameOf(s.client.deleteGroup(none)))
	s.Saw("offsets of unknown", s.committed(none, 1))
}

// How often.
func listed(s *stage, group string) int {
	all, err := s.client.groups()
	play.Must(err)
	return all[group]
}

func described(s *stage, name string) map[string]any {
	found, err := s.client.group(name)
	members := []string{}
	for i, client := range found.members {
		members = append(members, fmt.Sprint(client, " has ", s.Aliases(found.places[i])))
	}
	sort.Strings(members)
	return map[string]any{"state": found.state, "protocol": found.protocol, "members": members, "error": s.client.nameOf(err)}
}
