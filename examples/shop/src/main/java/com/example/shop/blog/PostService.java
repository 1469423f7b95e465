/*
 * Copyright 2026 The shop example authors.
 * SPDX-License-Identifier: Apache-2.0
 */
package com.example.shop.blog;

import java.text.Normalizer;
import java.util.ArrayList;
import java.util.List;
import org.springframework.stereotype.Service;

@Service
public class PostService {

    private final List<Post> posts = new ArrayList<>();

    public Post publish(String title, String body) {
        Post post = new Post(posts.size() + 1L, title, body, slug(title));
        posts.add(post);
        return post;
    }

    public Post require(long id) {
        return posts.stream().filter(post -> post.id() == id).findFirst().orElseThrow();
    }

    public void remove(long id) {
        posts.removeIf(post -> post.id() == id);
    }

    public String slug(String title) {
        String plain = Normalizer.normalize(title, Normalizer.Form.NFKD);
        StringBuilder out = new StringBuilder();
        boolean gap = false;
        for (int i = 0; i < plain.length(); i++) {
            char c = Character.toLowerCase(plain.charAt(i));
            if (Character.isLetterOrDigit(c)) {
                if (gap && out.length() > 0) {
                    out.append('-');
                }
                out.append(c);
                gap = false;
            } else if (Character.getType(c) != Character.NON_SPACING_MARK) {
                gap = true;
            }
        }
        return out.length() > 80 ? out.substring(0, 80) : out.toString();
    }
}
