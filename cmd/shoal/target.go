package main

import (
	"strings"

	"shoal"
	"shoal/wire"
)

// parseTarget splits GROUP/NAME at the first slash: neither can have one. What has none is in shoal.Public.
func parseTarget(given string) (group shoal.Group, name string, err error) {
	before, after, found := strings.Cut(given, "/")
	if !found {
		return shoal.Public, given, nil
	}
	group, err = shoal.ParseGroup(before)
	return group, after, err
}

// parseNamed is parseTarget for what is surely a name.
func parseNamed(given string) (shoal.Group, shoal.Name, error) {
	group, text, err := parseTarget(given)
	if err != nil {
		return group, "", err
	}
	name, err := shoal.ParseName(text)
	return group, name, err
}

// parseGroups reads a group given as an argument that need not be there.
func parseGroups(given []string) (shoal.Group, error) {
	if len(given) == 0 {
		return shoal.Public, nil
	}
	return shoal.ParseGroup(given[0])
}

// parseUser reads a user's name.
func parseUser(given string) (string, error) {
	name, err := shoal.ParseName(given)
	if err == nil && len(name) > wire.MaxUsername {
		err = shoal.Errorf(shoal.BadRequest, "the user's name is %d bytes long; at most %d are allowed", len(name), wire.MaxUsername)
	}
	return string(name), err
}
