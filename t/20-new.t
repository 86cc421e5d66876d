#!/usr/bin/perl
# SPDX-License-Identifier: MIT
#
# What `devserve new` writes compiles without a warning and is an image that devserve takes.

use strict;
use warnings;
use Cwd 'abs_path';
use File::Temp 'tempdir';
use Test::More;

my $devserve = abs_path(($ENV{DEVSERVE_BUILD} || 'build') . '/devserve');
plan skip_all => 'no devserve here; run make' unless $devserve && -x $devserve;

my $directory = tempdir(CLEANUP => 1);
delete @ENV{grep { /^DEVSERVE_/ } keys %ENV};

# Status and what was said, stdout and stderr apart.
sub run {
	my (@command) = @_;
	my $pid = fork // die "fork: $!\n";

	if ($pid == 0) {
		open STDOUT, '>', "$directory/out" or die;
		open STDERR, '>', "$directory/err" or die;
		exec @command or die "$command[0]: $!\n";
	}
	waitpid $pid, 0;
	return ($? >> 8, map { content("$directory/$_") } qw(out err));
}

sub content {
	my ($path) = @_;

	open my $in, '<', $path or return '';
	local $/;
	return <$in> // '';
}

my $strict = '-Wall -Wextra -Wpedantic -Wshadow -Wconversion -Werror -O2 -fPIC -shared -fvisibility=hidden';
my %languages = (
	'c' => { suffixes => ['c'], compilers => [map { "$_ -std=c11 $strict" } 'gcc', 'clang'] },
	'c++' => { suffixes => ['cc'], compilers => [map { "$_ -std=c++20 $strict" } 'g++', 'clang++'] },
	'cuda' => { suffixes => ['c', 'cu'], compilers => [map { "$_ -std=c11 $strict" } 'gcc', 'clang'] },
);

for my $language (sort keys %languages) {
	my ($suffix, @others) = @{$languages{$language}{suffixes}};
	my $name = 'my-' . ($others[0] // $suffix);
	my $stem = "$directory/plugins/$name/$name";
	my ($status, $out, $err) = run($devserve, 'new', $name, '--lang', $language, '--root', "$directory/plugins");

	is($status, 0, "a deployment in $language is written") or diag $err;
	like($out, qr/^wrote \Q$stem.$_\E$/m, "its file .$_ is named") for $suffix, @others;
	is_deeply([sort glob "$directory/plugins/$name/*"], [sort map { "$stem.$_" } $suffix, @others], 'there is no other');
	like($out, qr{^  devserve infer $name X=1,2,3 --root \Q$directory\E/plugins$}m, 'and how to try it');
	for my $command (@{$languages{$language}{compilers}}) {
		my ($compiler) = split / /, $command;

		SKIP: {
			skip "no $compiler here", 2 if system("$compiler --version >/dev/null 2>&1") != 0;
			my $said = qx($command -Iinclude -o $directory/image.so $stem.$suffix 2>&1);
			is("$?:$said", '0:', "$compiler compiles it without a word");
			($status, $out, $err) = run($devserve, 'inspect', '--json', "$directory/image.so");
			like("$status:$out", qr/^0:\{.*"inputs":\[\{"name":"X","datatype":"FP32","shape":\[-1\]\}\]/,
			     'devserve takes the image') or diag $err;
		}
	}
}

SKIP: { # NVRTC has it in t/e2e/test_cuda.py
	skip 'no nvcc here', 1 if system('nvcc --version >/dev/null 2>&1') != 0;
	my $said = qx(nvcc -cubin -Werror all-warnings -o $directory/kernel.cubin $directory/plugins/my-cu/my-cu.cu 2>&1);
	is("$?:$said", '0:', 'nvcc compiles the kernel without a word');
}

sub refused {
	my ($expected, $sentence, @arguments) = @_;
	my ($status, $out, $err) = run($devserve, 'new', '--root', "$directory/plugins", @arguments);

	is("$status:$out", "$expected:", "new @arguments: status $expected, nothing on stdout");
	like($err, $sentence, 'and the reason on stderr');
}

refused(1, qr{my-c is there already; choose another name or remove it}, 'my-c');
open my $single, '>', "$directory/plugins/single.cu" or die;
refused(1, qr{single\.cu is there already}, 'single');
refused(2, qr{give a name});
refused(2, qr{can't be called '$_'}, '--', $_) for '.hidden', '_ignored', '-x', 'a/b', '..', 'a b', 'x' x 65;
refused(2, qr{takes c, c\+\+ or cuda, not 'rust'}, 'x', '--lang', 'rust');
refused(1, qr{cannot write}, 'x', '--root', "$directory/err/below");
is_deeply([sort map { s{.*/}{}r } glob "$directory/plugins/*"], [qw(my-c my-cc my-cu single.cu)],
	  'what was refused left nothing behind');
is((run($devserve, 'new', 'x' x 64, '--root', "$directory/plugins"))[0], 0, 'a name of 64 characters is fine');

my ($status, $out) = run($devserve, 'new', '--help');
like("$status:$out", qr/^0:.*--lang/s, '--help prints the options');

done_testing();
