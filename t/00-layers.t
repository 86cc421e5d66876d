#!/usr/bin/perl
# SPDX-License-Identifier: MIT
#
# Includes go one way only (ARCHITECTURE.md). A folder may include itself and its row; what
# it needs from elsewhere comes to it by callback. A new folder needs a row here.

use strict;
use warnings;
use Test::More;

my %may = ( # folders, or single headers
	base => [],
	http => ['base'],
	ring => ['base', 'verdict/verdict.h'],
	infer => ['base'],
	array => ['base', 'infer/dtype.h', 'infer/tensor.h'],
	compare => ['base', 'array', 'infer/dtype.h'],
	state => ['base'],
	golden => ['base', 'infer', 'compare/compare.h'],
	image => ['base', 'infer'],
	verdict => ['base'],
	peaks => ['base'],
	watch => ['base'],
	watcher => ['base', 'watch/protocol.h', 'watch/filter.h'],
	build => ['base', 'nvrtc/stand_ins.h'],
	debug => ['base', 'state/layout.h'],
	command => ['base'],
	config => ['base'],
	weights => ['base', 'ring', 'infer'],
	cuda => ['base'],
	nvrtc => ['base', 'cuda'],
	worker => ['base', 'ring', 'verdict', 'cuda', 'array', 'compare', 'state', 'infer/dtype.h', 'infer/tensor.h'],
	replica => ['base', 'ring', 'infer'],
	record => ['base', 'ring', 'infer', 'array', 'replica/arena.h'],
	deploy => [qw(base compare golden infer verdict state image record replica ring/call.h ring/crash.h ring/proof.h
		ring/measurement.h ring/recording.h ring/work.h)], # fills in calls, sends none
	history => ['base'],
	ingress => ['base', 'http', 'infer', 'deploy/handle.h'],
	serve => [qw(base command ring infer array verdict peaks compare golden state image watch build config weights replica record deploy ingress history)],
	cli => [qw(base command http ring infer array verdict peaks compare golden state image watch build config weights replica record deploy ingress history serve)],
);
# These know nothing of deployments, so they have no use for the ABI either.
my %blind = map { $_ => 1 } qw(base command http watch watcher build debug config cuda nvrtc history);

sub includes {
	my ($file) = @_;
	my @found;

	open my $in, '<', $file or die "$file: $!\n";
	while (<$in>) {
		push @found, [$1, "$file:$."] if /^\s*#\s*include\s*["<]([^">]+)[">]/;
	}
	return @found;
}

sub quoted {
	my ($file) = @_;

	open my $in, '<', $file or die "$file: $!\n";
	return map { /^\s*#\s*include\s*"([^"]+)"/ ? $1 : () } <$in>;
}

my @folders = map { m{^src/(.*)/$} } glob 'src/*/';
for my $folder (@folders) {
	my @wrong;

	unless ($may{$folder}) {
		fail("src/$folder has a row in this test");
		next;
	}
	for my $file (glob "src/$folder/*.{c,h,cc,def}") {
		next unless -e $file;
		for (includes($file)) {
			my ($path, $where) = @$_;
			my ($to) = $path =~ m{^(\w+)/};

			next unless defined $to;
			if ($to eq 'devserve') {
				push @wrong, "$where includes $path" if $blind{$folder};
			} elsif (-d "src/$to" && $to ne $folder) {
				push @wrong, "$where includes $path"
					unless grep { $_ eq $to || $_ eq $path } @{$may{$folder}};
			}
		}
	}
	is("@wrong", '', "src/$folder includes nothing but: @{$may{$folder}}");
}

my @public = grep { -e && grep { !m{^devserve/} && !/^std(def|int)\.h$/ } map { $_->[0] } includes($_) }
	glob 'include/devserve/{,*/}*.h';
is("@public", '', 'the public headers include stddef.h, stdint.h and each other only');

# A plugin may have headers of its own, and share some beside it; never ours.
my @spies;
for my $file (split /\n/, qx(find plugins examples -name '*.[ch]*' -type f 2>/dev/null)) {
	push @spies, map { "$file includes $_" } grep { -e "src/$_" } quoted($file);
}
is("@spies", '', 'plugins and examples see include/devserve only');

done_testing();
